#include "spec/node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "core/utf8.h"

namespace slip::spec {
namespace {

/// yaml-cpp counts lines and columns from 0, and columns in bytes.
Place place_at(const SourceText& source, const YAML::Mark& mark) {
  return source.place(std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1);
}

/// Builds the tree from yaml-cpp's events and stops it as soon as a limit is passed.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const SourceText& source, const Limits& limits) : source_(source), limits_(limits) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw error_at(source_, place_at(source_, mark), 3, "a spec is one document, and here a second one starts");
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add(make(mark, Node::Kind::Null));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark, 1); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    Node node = make(mark, Node::Kind::Scalar);
    node.text = value;
    node.quoted = tag == "!";
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::List);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::Map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    Node key;
    bool has_key = false;
  };

  Node make(const YAML::Mark& mark, Node::Kind kind) {
    if (++nodes_ > limits_.nodes) {
      throw error_at(source_, place_at(source_, mark), 1, format("a spec has at most {} values", limits_.nodes));
    }
    Node node;
    node.kind = kind;
    node.place = place_at(source_, mark);
    return node;
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) {
      throw error_at(source_, place_at(source_, mark), 1, "anchors and aliases are not read")
          .add_hint("write the value out where it is used");
    }
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw error_at(source_, place_at(source_, mark), 1, format("the tag `{}` is not read", tag))
          .add_hint("leave the tag out");
    }
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    Frame frame;
    frame.node = make(mark, kind);
    if (stack_.size() >= limits_.depth) {
      throw error_at(source_, frame.node.place, 1, format("nested deeper than {} levels", limits_.depth));
    }
    stack_.push_back(std::move(frame));
  }
  void close() {
    Node done = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(done));
  }
  void add(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == Node::Kind::List) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.has_key) {
      check_key(frame.node, node);
      frame.key = std::move(node);
      frame.has_key = true;
    } else {
      frame.node.members.push_back({std::move(frame.key), std::move(node)});
      frame.has_key = false;
    }
  }
  void check_key(const Node& map, const Node& key) const {
    if (key.kind != Node::Kind::Scalar) {
      throw error_at(source_, key.place, 1, "a key must be a word");
    }
    if (const auto first =
            std::find_if(map.members.begin(), map.members.end(), [&](const auto& m) { return m.key.text == key.text; });
        first != map.members.end()) {
      throw error_at(source_, key.place, key.text.size(),
                     format("`{}` is given twice, first in line {}", key.text, first->key.place.line));
    }
  }

  const SourceText& source_;
  Limits limits_;
  std::vector<Frame> stack_;
  Node root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  const auto at = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.key.text == key; });
  return at == members.end() ? nullptr : &at->value;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

Place Node::text_place() const {
  Place at = place;
  at.column += quoted ? 1 : 0;
  return at;
}

Node read_yaml(const SourceText& source, const Limits& limits) {
  if (source.text.size() > limits.bytes) {
    throw Error(ErrorKind::Invalid, "{}: larger than {} bytes", source.file, limits.bytes);
  }
  if (const auto at = first_non_text(source.text)) {
    throw error_at(source, source.place(static_cast<int>(at->line), static_cast<int>(at->column)), 1,
                   "a byte that no text has")
        .add_hint("save the file as UTF-8");
  }
  std::istringstream stream{std::string(source.text)};
  Builder builder(source, limits);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    std::string message = e.msg;
    if (!message.empty() && message.front() >= 'A' && message.front() <= 'Z') {
      message.front() = static_cast<char>(message.front() - 'A' + 'a');
    }
    throw error_at(source, place_at(source, e.mark), 1, format("not YAML: {}", message));
  }
  return builder.take();
}

}  // namespace slip::spec
