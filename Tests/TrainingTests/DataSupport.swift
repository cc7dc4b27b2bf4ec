import TensorModule
import TestSupport
import Training

/// Data and what is read of them, for tests.
enum DataSupport {
  /// A folder of `fixtures/training`, from this file's own place.
  static func fixture(_ name: String) -> String {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/") + "/fixtures/training/" + name
  }

  static func form(
    _ dims: [Int?], _ output: [Int?], _ labels: DataForm.Labels, dtype: DType = .float32, classNames: [String]? = nil
  ) -> DataForm {
    DataForm(
      inputs: [DataForm.Input("input_1", dtype: dtype, dims: dims)], targets: [DataForm.Target("dense", dims: output, labels: labels)],
      classNames: classNames)
  }

  /// Writes x and y as `.npz`.
  static func npz(_ folder: TemporaryFolder, _ arrays: [(name: String, tensor: Tensor)], _ name: String = "data.npz") throws -> String {
    try NumPyFile.write(npz: arrays, to: folder.file(name))
    return folder.file(name)
  }

  /// x: `count` rows of their index; y: index % classes.
  static func numbered(_ folder: TemporaryFolder, _ count: Int, classes: Int = 3) throws -> SampleStore {
    let path = try npz(
      folder,
      [
        ("x", try Tensor((0..<count).map { Float($0) }, shape: [count, 1])),
        ("y", try Tensor((0..<count).map { Int64($0 % classes) }, shape: [count])),
      ])
    return try SampleStore.load(path, for: form([1], [classes], .indices))
  }

  /// All batches of an epoch.
  static func batches(_ source: DataSource, epoch: Int = 0, first: Int = 0) throws -> [Batch] {
    try source.beginEpoch(epoch, firstBatch: first)
    var found: [Batch] = []
    while let batch = try source.next() { found.append(batch) }
    return found
  }

  /// The one line of the error that work ends in.
  static func line(_ work: () throws -> Void) -> String {
    do { try work() } catch let error as KilnError { return error.line } catch { return "\(error)" }
    return "no error"
  }
}
