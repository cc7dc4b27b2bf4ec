import TensorModule

/// A `.keras` file: a zip archive of `metadata.json`, `config.json`, `model.weights.h5` and `assets/`. It is read in
/// memory only.
struct KerasZip {
  let version: String?
  let config: JSON
  let archive: ZipArchive
  private let budget: Int

  private static let weights = "model.weights.h5"
  private static let known: Set = ["metadata.json", "config.json", weights, "model.weights.npz"]

  /// - Throws: `KilnError` (`badInput`) for a damaged archive, for members that a `.keras` file does not have, and for
  ///   JSON that cannot be read.
  init(path: String, budget: Int?) throws {
    let file = try MappedFile(path: path)
    let (quadruple, overflow) = file.bytes.count.multipliedReportingOverflow(by: 4)
    self.budget = budget ?? max(2 << 30, overflow ? file.bytes.count : quadruple)
    archive = try ZipArchive(file.bytes, owner: file)
    try KerasZip.checkNames(archive)
    version = try KerasZip.json("metadata.json", archive, limit: 1 << 20)["keras_version"]?.stringValue
    config = try KerasZip.json("config.json", archive, limit: JSON.Limits().bytes)
  }

  /// Names are never used as paths; an archive with others than Keras writes is not Keras's.
  private static func checkNames(_ archive: ZipArchive) throws {
    guard archive.member(named: "config.json") != nil else {
      let some = archive.members.prefix(3).map { KilnError.quoted($0.name) }.joined(separator: ", ")
      throw KilnError(.badInput, "is a zip archive without 'config.json', not a .keras file" + (some.isEmpty ? "" : " (it holds \(some))"))
    }
    for member in archive.members {
      let parts = member.name.split(separator: "/", omittingEmptySubsequences: false)
      let isSafe = !member.name.contains("\\") && !parts.dropLast().contains("") && !parts.contains("..") && !parts.contains(".")
      guard isSafe else { throw KilnError(.badInput, "zip: the member name \(KilnError.quoted(member.name)) leads out of the archive") }
      guard known.contains(member.name) || member.name.hasPrefix("assets/") else {
        throw KilnError(.badInput, "zip: \(KilnError.quoted(member.name)) is no part of a .keras file")
      }
    }
  }

  private static func json(_ name: String, _ archive: ZipArchive, limit: Int) throws -> JSON {
    guard let member = archive.member(named: name) else { throw KilnError(.badInput, "zip: \(KilnError.quoted(name)) is missing") }
    let bytes = try archive.contents(of: member, limit: limit)
    do { return try JSON.parse(bytes) } catch let error as KilnError { throw error.inside(name) }
  }

  /// Whether the model was saved compiled.
  var hasTrainingConfig: Bool { config["compile_config"]?.objectValue.map { $0.count > 0 } ?? false }

  /// The optimizer's variables, arrays not yet read.
  func optimizer() throws -> [StoredWeight] {
    let file = try weightsFile()
    var (found, stack): ([StoredWeight], [String]) = ([], [])
    for name in ["optimizer", "_optimizer"] where try file.exists(name) { stack.append(name) }
    while let path = stack.popLast() {
      let children = try file.children(of: path)
      guard found.count + stack.count + children.count <= 1 << 18 else { throw KilnError(.badInput, "has too many variables", at: [path]) }
      // Numbered ones by number.
      let sorted = children.sorted { (Int($0.name) ?? Int.max, $0.name) < (Int($1.name) ?? Int.max, $1.name) }
      for (name, isGroup) in sorted {
        let place = "\(path)/\(name)"
        if isGroup {
          stack.append(place)
        } else {
          let dataset = try file.dataset(place)
          found.append(StoredWeight(path: place, dtype: dataset.dtype, shape: dataset.shape, isAsStored: true) { try file.read(place) })
        }
      }
    }
    return found
  }

  /// The tree of variables, arrays not yet read.
  func variables() throws -> VariableTree { try VariableTree(weightsFile()) }

  private func weightsFile() throws -> HDF5File {
    guard let member = archive.member(named: KerasZip.weights) else {
      guard archive.member(named: "model.weights.npz") == nil else {
        throw KilnError(
          .unsupportedModel, "keeps its weights in 'model.weights.npz' as pickled Python objects, which are not loaded",
          hint: "save the model again with Keras's usual weights, model.weights.h5")
      }
      throw KilnError(.badInput, "zip: \(KilnError.quoted(KerasZip.weights)) is missing")
    }
    do {
      let (bytes, owner) = try archive.data(of: member, limit: budget)
      return try HDF5File(image: bytes, owner: owner, budget: budget)
    } catch let error as KilnError { throw error.inside(KerasZip.weights) }
  }
}
