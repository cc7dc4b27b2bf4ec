import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A TensorBoard event file: records as in TFRecord files, each an `Event`.
///
/// Every event is written at once: what a killed process leaves is whole but for the last record, which readers pass over.
package final class EventFile {
  package let path: String
  private let descriptor: Int32

  /// Begins a file in a folder, which is made where it is missing.
  ///
  /// - Parameter restart: nil at the beginning; else the step that training goes on from: what other files have from there on is passed over.
  /// - Throws: `KilnError` (`failed`) when the folder cannot be written.
  package init(folder: String, restart: Int? = nil) throws {
    try FolderMaking.make(folder)
    let now = EventFile.now
    // Numbered, so that two of one second differ.
    let started = String(Int(now))
    var found: (path: String, descriptor: Int32)?
    for number in 0..<1000 {
      let path = "\(folder)/events.out.tfevents.\(started).\(EventFile.host).\(getpid()).\(number)"
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o666)
      if descriptor >= 0 {
        found = (path, descriptor)
        break
      }
      guard errno == EEXIST else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
    }
    guard let found else { throw KilnError(.failed, "has too many event files of one second", at: [folder]) }
    (path, descriptor) = found
    try write(step: 0) { $0.add(3, "brain.Event:2") }
    if let restart { try write(step: restart) { $0.add(7) { $0.add(1, 1) } } }
  }

  deinit { close(descriptor) }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  private static var host: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.isEmpty || name.contains("/") ? "localhost" : name
  }

  private func write(step: Int, _ fill: (inout WireMessage) -> Void) throws {
    var event = WireMessage()
    event.add(1, EventFile.now)
    event.add(2, step)
    fill(&event)
    var head: [UInt8] = []
    head.append64(UInt64(event.bytes.count))
    var record = head
    record.append32(head.withUnsafeBytes { CRC32C.masked($0) })
    record += event.bytes
    record.append32(event.bytes.withUnsafeBytes { CRC32C.masked($0) })
    try record.withUnsafeBytes { try FileOutput.write($0, to: descriptor, named: path) }
  }

  /// Writes numbers under their tags.
  package func scalars(_ values: [(tag: String, value: Double)], step: Int) throws {
    guard !values.isEmpty else { return }
    try write(step: step) { event in
      event.add(5) { summary in
        for (tag, value) in values {
          summary.add(1) {
            $0.add(1, tag)
            $0.add(2, Float(value))
          }
        }
      }
    }
  }

  /// Writes how the elements of a tensor are spread.
  package func histogram(_ tag: String, _ tensor: Tensor, step: Int) throws {
    let buckets = EventHistogram(tensor).buckets
    try write(step: step) { event in
      event.add(5) { summary in
        summary.add(1) { value in
          value.add(1, tag)
          value.add(9) {
            $0.add(1) { plugin in
              plugin.add(1, "histograms")
              plugin.add(2, [UInt8]())
            }
            $0.add(4, 2)
          }
          value.add(8) { tensor in
            tensor.add(1, 2)
            tensor.add(2) { shape in
              for length in [buckets.count, 3] { shape.add(2) { $0.add(1, length) } }
            }
            var content: [UInt8] = []
            for bucket in buckets { for number in [bucket.left, bucket.right, bucket.count] { content.append64(number.bitPattern) } }
            tensor.add(4, content)
          }
        }
      }
    }
  }

  /// Writes a picture.
  ///
  /// - Parameter png: the bytes of a PNG file.
  package func picture(_ tag: String, png: [UInt8], height: Int, width: Int, channels: Int, step: Int) throws {
    try write(step: step) { event in
      event.add(5) { summary in
        summary.add(1) { value in
          value.add(1, tag)
          value.add(4) { image in
            image.add(1, height)
            image.add(2, width)
            image.add(3, channels)
            image.add(4, png)
          }
        }
      }
    }
  }

  /// Writes a graph, which TensorBoard draws by its scopes.
  package func graph(_ definition: [UInt8]) throws { try write(step: 0) { $0.add(4, definition) } }
}

/// Folders that are written to.
enum FolderMaking {
  /// Makes a folder and those that it lies in, where they are missing.
  ///
  /// - Throws: `KilnError` (`failed`) when that cannot be done, or when it cannot be written.
  static func make(_ path: String) throws {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
      if mkdir(made, 0o777) != 0, errno != EEXIST, errno != EROFS || access(made, F_OK) != 0 {
        throw KilnError(.failed, FileError.message("cannot be made"), at: [made])
      }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { throw KilnError(.failed, "is not a folder", at: [path]) }
    guard access(path, W_OK) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
  }
}
