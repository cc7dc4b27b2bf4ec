import InferenceRuntime
import TensorModule

/// Where variables lie in one block of floats: each from a multiple of 16 on, or of what a device wants.
struct ParameterLayout {
  let shapes: [Shape]
  let offsets: [Int]
  /// Floats in a block, the gaps between variables included.
  let count: Int

  init(_ shapes: [Shape], alignment: Int = 16) {
    self.shapes = shapes
    var offsets: [Int] = []
    var next = 0
    for shape in shapes {
      offsets.append(next)
      next += (shape.elementCount + alignment - 1) / alignment * alignment
    }
    self.offsets = offsets
    count = next
  }

  func size(_ index: Int) -> Int { shapes[index].elementCount }

  /// The places of a variable's elements.
  func range(_ index: Int) -> Range<Int> { offsets[index]..<offsets[index] + size(index) }
}

/// One block of floats for all trained variables: their values, gradients, or a state of the optimizer.
final class ParameterMemoryBlock: @unchecked Sendable {
  let layout: ParameterLayout
  let floats: UnsafeMutablePointer<Float>
  private let memory: RuntimeMemory

  init(_ layout: ParameterLayout, filledWith value: Float = 0) throws {
    self.layout = layout
    memory = try RuntimeMemory(byteCount: layout.count * 4)
    floats = memory.base.bindMemory(to: Float.self, capacity: layout.count)
    floats.initialize(repeating: value, count: layout.count)
  }

  /// The first element of a variable.
  subscript(_ variable: Int) -> UnsafeMutablePointer<Float> { floats + layout.offsets[variable] }

  func set(_ variable: Int, to tensor: Tensor) throws {
    let wide = try tensor.converted(to: .float32)
    guard wide.count == layout.size(variable) else {
      throw KilnError(.badInput, "a state of \(tensor.shape.shapeText) for a variable of \(layout.shapes[variable].shapeText)")
    }
    UnsafeMutableRawPointer(self[variable]).copyMemory(from: wide.address, byteCount: wide.byteCount)
  }

  /// A copy of a variable.
  func tensor(_ variable: Int, shape: Shape? = nil) throws -> Tensor {
    try Tensor(dtype: .float32, shape: shape ?? layout.shapes[variable]) {
      $0.baseAddress?.copyMemory(from: self[variable], byteCount: layout.size(variable) * 4)
    }
  }
}
