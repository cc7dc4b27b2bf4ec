import Synchronization
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Which variant of a kernel is the fastest for a class of shapes on a device, as timed before: kept beside the compiled programs, one
/// file for each device and driver. A file that is damaged counts as empty.
package final class TuningTable: Sendable {
  private struct State {
    var choices: [String: String]?
    var fresh: [String: String] = [:]
  }

  private static let mark = "kiln-tuning-2 "
  private let path: String?
  private let state = Mutex(State())

  package init(_ device: GPUDevice, folder: String?) {
    let machine = [device.platform, device.name, device.vendor, device.version, device.driver, GPUProgram.buildOptions]
    path = folder.map { "\($0)/tuning-\(Self.hash(machine.joined(separator: "\n"))).txt" }
  }

  private static func hash(_ text: String) -> String { Array(text.utf8).withUnsafeBytes { XXH64.text($0) } }

  /// The variant of a class; nil when it was not timed.
  package subscript(key: String) -> String? {
    get {
      state.withLock { state in
        if let found = state.fresh[key] { return found }
        let choices = state.choices ?? read()
        state.choices = choices
        return choices[key]
      }
    }
    set { state.withLock { $0.fresh[key] = newValue } }
  }

  /// Writes what is new, together with what other processes wrote meanwhile; a disk that is not writable costs the next process time.
  package func save() {
    state.withLock { state in
      guard let path, !state.fresh.isEmpty else { return }
      let merged = read().merging(state.fresh) { $1 }
      let body = merged.keys.sorted().map { "\($0)\t\(merged[$0] ?? "")\n" }.joined()
      guard var file = try? AtomicFile.create(path: path, overwriting: true) else { return }
      guard (try? file.write(Array((Self.mark + Self.hash(body) + "\n" + body).utf8))) != nil, (try? file.commit()) != nil else { return }
      (state.choices, state.fresh) = (merged, [:])
    }
  }

  private func read() -> [String: String] {
    guard let path, access(path, R_OK) == 0, let file = try? MappedFile(path: path), file.bytes.count < 1 << 24 else { return [:] }
    let text = withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
    guard let end = text.firstIndex(of: "\n") else { return [:] }
    let body = String(text[text.index(after: end)...])
    guard text[..<end] == Self.mark + Self.hash(body) else { return [:] }
    let pairs = body.split(separator: "\n").compactMap { line -> (String, String)? in
      let parts = line.split(separator: "\t")
      return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
    }
    return Dictionary(pairs) { $1 }
  }
}
