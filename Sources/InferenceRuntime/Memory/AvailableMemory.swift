import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How much memory the machine can give to this process without running out.
package enum AvailableMemory {
  /// Bytes up to which nothing is asked of the system.
  package static let small = 256 << 20

  /// What the system says is free or can be freed, swap included, within what the process's control group may use; the
  /// whole address space where the system does not say.
  package static func byteCount() -> Int {
    var available = Int.max
    if let text = contents("/proc/meminfo"), let free = number(of: "MemAvailable:", in: text) {
      available = (free + (number(of: "SwapFree:", in: text) ?? 0)) << 10
    }
    if let most = contents("/sys/fs/cgroup/memory.max").flatMap({ Int($0.prefix { $0.isNumber }) }),
      let used = contents("/sys/fs/cgroup/memory.current").flatMap({ Int($0.prefix { $0.isNumber }) })
    {
      available = min(available, max(most - used, 0))
    }
    return available
  }

  /// The number after a label at the beginning of a line.
  private static func number(of label: String, in text: String) -> Int? {
    text.split(separator: "\n").first { $0.hasPrefix(label) }.flatMap { line in
      Int(line.dropFirst(label.count).drop { $0 == " " }.prefix { $0.isNumber })
    }
  }

  /// The text of a small file that has no size of its own.
  private static func contents(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
  }
}
