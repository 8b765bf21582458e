#include "core/bytes.h"
#include "core/error.h"
#include "deb/control.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  try {
    slip::deb::ControlReader reader(text, "fuzz");
    slip::deb::Paragraph paragraph;
    while (reader.next(paragraph)) {
      slip::deb::parse_dependencies(paragraph.get("Depends"));
      slip::deb::parse_dependencies(paragraph.get("Provides"));
    }
  } catch (const slip::Error&) {
  }
  try {
    slip::deb::parse_control(text, "fuzz");
  } catch (const slip::Error&) {
  }
  return 0;
}
