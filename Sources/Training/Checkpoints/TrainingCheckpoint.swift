import TensorModule

/// All that training needs to go on as if it had not stopped.
package struct TrainingCheckpoint: Sendable {
  /// The epoch that runs, counted from 0, and how many of its batches were taken.
  package var epoch: Int
  package var batch: Int
  /// Steps of the optimizer in all.
  package var step: Int
  /// Weights, the optimizer's variables, random counters: under unique names, in the trainer's order.
  package var tensors: [(name: String, tensor: Tensor)]
  /// The rest: sums of running metrics, schedule, early stopping.
  package var state: JSON

  package init(epoch: Int, batch: Int, step: Int, tensors: [(name: String, tensor: Tensor)], state: JSON = .null) {
    (self.epoch, self.batch, self.step, self.tensors, self.state) = (epoch, batch, step, tensors, state)
  }

  private static let formatVersion = "1"

  /// Writes the checkpoint under a temporary name, then gives it its name.
  ///
  /// - Parameter run: what training was begun with.
  func save(to path: String, run: TrainingRun) throws {
    let names = tensors.map(\.name)
    guard Set(names).count == names.count, !names.contains("__metadata__"), tensors.allSatisfy({ $0.tensor.dtype != .string }) else {
      throw KilnError(.internal, "two tensors of a checkpoint have one name, or one holds strings")
    }
    var file = try AtomicFile.create(path: path, overwriting: true)
    try Safetensors.write(tensors, to: &file) { hashes in
      let description = JSON.object(
        JSONObject([
          ("epoch", .int(epoch)), ("batch", .int(batch)), ("step", .int(step)), ("run", run.json), ("state", state),
          ("hashes", .object(JSONObject(names.map { ($0, .string(hashes[$0] ?? "")) }))),
        ]))
      let text = description.text(nonFinite: nil)
      return [("kiln.checkpoint", Self.formatVersion), ("kiln.state", text), ("kiln.digest", Self.digest(text))]
    }
    try file.commit()
  }

  /// Reads a checkpoint; every checksum is checked first.
  ///
  /// - Throws: `KilnError` (`badInput`) when it is damaged or of another kind.
  static func load(_ path: String) throws -> (checkpoint: TrainingCheckpoint, run: TrainingRun) {
    let file = try MappedFile(path: path)
    do {
      let header = try Safetensors.readHeader(file.bytes)
      guard header.metadata["kiln.checkpoint"] == formatVersion, let text = header.metadata["kiln.state"] else {
        throw KilnError(.badInput, "is no checkpoint that this Kiln reads")
      }
      guard header.metadata["kiln.digest"] == digest(text) else {
        throw KilnError(.badInput, "the checksum of the state is wrong (file damaged)")
      }
      let json = try JSON.parse(text)
      guard let epoch = json["epoch"]?.intValue, let batch = json["batch"]?.intValue, let step = json["step"]?.intValue, epoch >= 0, batch >= 0,
        step >= 0, let hashes = json["hashes"]?.objectValue, let run = TrainingRun(json["run"])
      else { throw KilnError(.badInput, "the state is malformed") }
      let entries = Dictionary(header.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      guard entries.count == hashes.count else { throw KilnError(.badInput, "has \(entries.count) tensors, its state \(hashes.count)") }
      let tensors = try hashes.entries.map { name, hash in
        guard let entry = entries[name] else { throw KilnError(.badInput, "tensor \(KilnError.quoted(name)) is missing") }
        guard hash.stringValue == XXH64.text(UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])) else {
          throw KilnError(.badInput, "tensor \(KilnError.quoted(name)): the checksum is wrong (file damaged)")
        }
        return (name, try Safetensors.tensor(entry, in: file))
      }
      return (TrainingCheckpoint(epoch: epoch, batch: batch, step: step, tensors: tensors, state: json["state"] ?? .null), run)
    } catch let error as KilnError { throw error.inside(path) }
  }

  private static func digest(_ text: String) -> String { Array(text.utf8).withUnsafeBytes { XXH64.text($0) } }
}

/// What a training was begun with. Going on with anything else would give other numbers, so that is refused.
package struct TrainingRun: Sendable, Hashable {
  /// Names and values as a user gives them: `--batch-size`, `32`.
  package var settings: [(name: String, value: String)]

  package init(_ settings: [(name: String, value: String)]) { self.settings = settings }

  init?(_ json: JSON?) {
    guard let object = json?.objectValue else { return nil }
    settings = object.entries.map { ($0.key, $0.value.stringValue ?? "") }
  }

  var json: JSON { .object(JSONObject(settings.map { ($0.name, .string($0.value)) })) }

  /// - Throws: `KilnError` (`usage`) with the first setting that differs.
  func check(against other: TrainingRun) throws {
    for (name, value) in settings {
      guard let found = other.settings.first(where: { $0.name == name })?.value, found != value else { continue }
      throw KilnError(
        .usage, "the checkpoint was written with \(name) \(KilnError.escaped(found)), found \(KilnError.escaped(value))",
        hint: "without --resume training begins anew")
    }
  }

  package static func == (left: TrainingRun, right: TrainingRun) -> Bool {
    left.settings.elementsEqual(right.settings) { $0.name == $1.name && $0.value == $1.value }
  }

  package func hash(into hasher: inout Hasher) { for (name, value) in settings { hasher.combine([name, value]) } }
}
