import Foundation
import GraphModule
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Graphs whose sizes depend on shapes and data: imported once, run at several sizes.
@Suite struct TensorFlowSizeTests {
  private typealias G = GraphBytes

  private static let int32 = G.field(6, int: 3)
  private static func type(_ number: UInt64) -> [UInt8] { G.varint(6 << 3) + G.varint(number) }

  private static func integers(_ name: String, _ values: [Int32], scalar: Bool = false) -> [UInt8] {
    let content = values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    let tensor = G.field(1, int: 3) + G.field(2, G.shape(scalar ? [] : [values.count])) + G.field(4, content)
    return G.node(name, "Const", [], [("dtype", type(3)), ("value", G.field(8, tensor))])
  }

  private static func input(_ name: String, _ dims: [Int], _ number: UInt64 = 1) -> [UInt8] {
    G.node(name, "Placeholder", [], [("dtype", type(number)), ("shape", G.field(7, G.shape(dims)))])
  }

  private func model(_ bytes: [UInt8]) throws -> Model {
    try G.withFile(bytes) { path in
      try Model(graph: try ModelImporter.read(path: path, options: ImportOptions()).graph, options: .init(threads: 1))
    }
  }

  private func rows(_ values: [[Double]], _ width: Int) throws -> Tensor {
    try Tensor(converting: values.flatMap { $0 }, to: .float32, shape: [values.count, width])
  }

  @Test func aShapeIsData() throws {
    let bytes = Self.input("x", [-1, 3]) + G.node("s", "Shape", ["x"], [("T", Self.type(1)), ("out_type", Self.type(3))])
      + G.node("f", "Cast", ["s"], [("SrcT", Self.type(3)), ("DstT", Self.type(1))]) + G.node("y", "Mul", ["f", "f"])
    let model = try model(bytes)
    for count in [2, 1, 5, 0] {
      let x = try rows([[Double]](repeating: [1, 2, 3], count: count), 3)
      #expect(try model.predict(x).doubles == [Double(count * count), 9])
    }
  }

  @Test func aMaskPicksRows() throws {
    let bytes = Self.input("x", [-1, 2]) + G.constant("zero", [], content: [0, 0, 0, 0])
      + G.node("positive", "Greater", ["x", "zero"]) + G.node("places", "Where", ["positive"], [("T", Self.type(10))])
      + G.node("y", "GatherNd", ["x", "places"]) + G.node("z", "Mul", ["y", "y"])
    let model = try model(bytes)
    #expect(!model.isBatched)
    for values in [[[1.0, -2], [3, 0]], [[-1, -1]], [], [[1, 2], [3, 4], [-5, 6]]] {
      let expected = values.flatMap { $0 }.filter { $0 > 0 }
      #expect(try model.predict(try rows(values, 2)).doubles == expected.map { $0 * $0 })
    }
  }

  @Test func inputsCountDifferentThings() throws {
    let bytes = Self.input("x", [-1, 2]) + Self.input("y", [-1, 2])
      + G.node("z", "MatMul", ["x", "y"], [("transpose_b", G.varint(5 << 3) + [1])])
    let model = try model(bytes)
    #expect(model.inputs.map(\.counted) == ["batch", "y_0"])
    let got = try model.predict([try rows([[1, 2], [3, 4], [5, 6]], 2), try rows([[1, 0]], 2)])
    #expect(got[0].shape == [3, 1])
    #expect(got[0].doubles == [1, 3, 5])
  }

  @Test func inputsThatMustBeEquallyLongAreOneBatch() throws {
    let model = try model(Self.input("x", [-1, 2]) + Self.input("y", [-1, 2]) + G.node("z", "AddV2", ["x", "y"]))
    #expect(model.inputs.map(\.counted) == ["batch", "batch"])
    #expect(model.isBatched)
    #expect(throws: KilnError.self) { _ = try model.predict([try rows([[1, 2], [3, 4]], 2), try rows([[1, 0], [1, 1], [0, 0]], 2)]) }
  }

  @Test(arguments: [(1, 3), (-2, 100), (0, 0), (2, 1), (-1, 4)])
  func boundsOfASliceAreInputs(start: Int, end: Int) throws {
    let bytes = Self.input("x", [-1, 1]) + Self.input("b", [1], 3) + Self.input("e", [1], 3) + Self.integers("one", [1])
      + G.node("y", "StridedSlice", ["x", "b", "e", "one"])
    let x = try rows([[0], [1], [2], [3]], 1)
    func bound(_ value: Int) throws -> Tensor { try Tensor(integers: [Int64(value)], dtype: .int32, shape: [1]) }
    let got = try model(bytes).predict([x, try bound(start), try bound(end)])[0].doubles
    let first = start < 0 ? max(0, start + 4) : min(start, 4), last = end < 0 ? max(0, end + 4) : min(end, 4)
    #expect(got == (first < last ? (first..<last).map(Double.init) : []))
  }

  @Test func negativeSizesAreErrors() throws {
    let bytes = Self.input("s", [2], 3) + G.constant("v", [], content: [0, 0, 128, 63]) + G.node("y", "Fill", ["s", "v"]) + G.node("z", "Mul", ["y", "y"])
    let model = try model(bytes)
    func sizes(_ values: [Int64]) throws -> Tensor { try Tensor(integers: values, dtype: .int32, shape: [2]) }
    #expect(try model.predict(try sizes([2, 3])).shape == [2, 3])
    #expect(try model.predict(try sizes([0, 3])).shape == [0, 3])
    #expect(throws: KilnError.self) { _ = try model.predict(try sizes([2, -1])) }
  }

  @Test func partitionsAreStitched() throws {
    let bytes = Self.input("x", [-1]) + Self.input("p", [-1], 3) + Self.integers("zero", [0], scalar: true) + Self.integers("one", [1], scalar: true)
      + G.node("n", "Size", ["p"], [("T", Self.type(3)), ("out_type", Self.type(3))]) + G.node("r", "Range", ["zero", "n", "one"])
      + G.node("i", "DynamicPartition", ["r", "p"], [("num_partitions", G.varint(3 << 3) + [2])])
      + G.node("d", "DynamicPartition", ["x", "p"], [("num_partitions", G.varint(3 << 3) + [2])])
      + G.node("e", "Neg", ["d:1"]) + G.node("y", "DynamicStitch", ["i", "i:1", "d", "e"], [("N", G.varint(3 << 3) + [2])])
    let model = try model(bytes)
    for parts in [[0, 1, 1, 0], [1], [0, 0], []] as [[Int64]] {
      let x = try Tensor(converting: parts.indices.map { Double($0 + 1) }, to: .float32, shape: [parts.count])
      let p = try Tensor(integers: parts, dtype: .int32, shape: [parts.count])
      #expect(try model.predict([x, p])[0].doubles == parts.enumerated().map { Double($0 + 1) * ($1 == 1 ? -1 : 1) })
    }
    #expect(throws: KilnError.self) {
      _ = try model.predict([try Tensor(converting: [1], to: .float32, shape: [1]), try Tensor(integers: [2], dtype: .int32, shape: [1])])
    }
  }
}
