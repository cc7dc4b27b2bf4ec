import Kiln

/// Outputs that a model should give.
struct ExpectedOutputs {
  private let tensors: [(name: String, tensor: Tensor)]
  private let path: String

  /// Reads a `.npz` by output name, or a `.npy` of the first output.
  init(path: String, of model: Model) throws {
    self.path = path
    let file = try MappedFile(path: path)
    if NumPyFile.isNPY(file.bytes) {
      do { tensors = [(model.outputs.first?.name ?? "", try NumPyFile.parse(file.bytes))] } catch let error as KilnError { throw error.inside(path) }
    } else {
      tensors = try NumPyFile.read(npz: path)
    }
  }

  func largestDifference(from prediction: Prediction) throws -> Double {
    var largest = 0.0
    for (name, expected) in tensors {
      guard let got = prediction.outputs.first(where: { $0.name == name }) else {
        throw KilnError(.badInput, "the model has no output \(KilnError.quoted(name))", at: [path])
      }
      let difference: TensorDifference
      do { difference = try .between(got.tensor, expected) } catch let error as KilnError { throw error.inside(path) }
      if zip(got.tensor.doubles, expected.doubles).contains(where: { $0.isNaN != $1.isNaN }) { return .infinity }
      largest = max(largest, difference.maximumAbsolute)
    }
    return largest
  }
}
