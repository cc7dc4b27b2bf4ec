import Synchronization
import TensorModule

/// The checksums of a mapped file's tensors, looked at by any number of threads while the model is made ready.
package final class TensorChecks: Sendable {
  private struct Job {
    var entries: [(entry: Safetensors.Entry, expected: String?)]
    var bytes: Int
  }

  private struct State {
    var next = 0
    var finished = 0
    var damaged: String?
    /// What `prefetch` read.
    var touched: UInt8 = 0
  }

  /// Bytes that are hashed before their memory is given back.
  private static let pieceSize = 4 << 20

  private let file: MappedFile
  private let releases: Bool
  private let jobs: [Job]
  private let state = Mutex(State())

  /// - Parameters:
  ///   - entries: with the hash that each should have; without one it counts as damaged.
  ///   - releases: gives the memory of what was looked at back.
  init(_ entries: [(entry: Safetensors.Entry, expected: String?)], in file: MappedFile, releases: Bool) {
    self.file = file
    self.releases = releases
    // The largest first, lest one be left to one thread in the end; small ones are many and cheap, and share a job.
    var jobs: [Job] = []
    for item in entries.sorted(by: { $0.entry.range.count > $1.entry.range.count }) {
      let bytes = item.entry.range.count
      if !jobs.isEmpty, jobs[jobs.count - 1].bytes + bytes <= 1 << 20 {
        jobs[jobs.count - 1].entries.append(item)
        jobs[jobs.count - 1].bytes += bytes
      } else {
        jobs.append(Job(entries: [item], bytes: bytes))
      }
    }
    self.jobs = jobs
  }

  /// Bytes of all tensors.
  package var byteCount: Int { jobs.reduce(0) { $0 + $1.bytes } }

  /// Looks at tensors that nobody looks at yet, until there is none left.
  package func help() {
    while true {
      let index = state.withLock { state in
        defer { state.next += 1 }
        return state.next
      }
      guard index < jobs.count else { return }
      let damaged = jobs[index].entries.first { !isSound($0.entry, $0.expected) }?.entry.name
      state.withLock { state in
        state.finished += 1
        // The first by name, whichever thread was faster.
        if let damaged { state.damaged = min(state.damaged ?? damaged, damaged) }
      }
    }
  }

  /// Helps, and waits for those who help.
  ///
  /// - Throws: `KilnError` (`badInput`) when a tensor is not what was written.
  package func finish() throws {
    help()
    while state.withLock({ $0.finished }) < jobs.count { pause() }
    if let name = state.withLock({ $0.damaged }) {
      throw KilnError(.badInput, "tensor \(KilnError.quoted(name)): the checksum is wrong (file damaged)", at: [file.path])
    }
  }

  private func isSound(_ entry: Safetensors.Entry, _ expected: String?) -> Bool {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    var found = XXH64()
    var touched: UInt8 = 0
    for start in stride(from: 0, to: bytes.count, by: TensorChecks.pieceSize) {
      let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + TensorChecks.pieceSize, bytes.count)])
      if !releases { touched &+= file.prefetch(piece) }
      found.add(piece)
      if releases { file.release(piece) }
    }
    state.withLock { $0.touched &+= touched }
    return found.text == expected
  }

  /// What is waited for takes a few milliseconds at most.
  private func pause() { for _ in 0..<100 { _ = state.withLock { $0.finished } } }
}
