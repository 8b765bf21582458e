#pragma once

/// Files of proc and sysfs that a workspace must not see or write to; the native launcher and OCI bundles read them
/// here.
namespace slip::launch {

/// Hidden behind an empty folder or /dev/null.
inline constexpr const char* kMaskedFiles[] = {
    "/proc/acpi",          "/proc/asound",      "/proc/kcore",   "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
    "/proc/timer_stats",   "/proc/interrupts",  "/sys/firmware", "/sys/devices/virtual/powercap"};
/// Read-only.
inline constexpr const char* kFrozenFiles[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                               "/proc/sysrq-trigger"};

}  // namespace slip::launch
