import Foundation
import GraphModule
import KilnImport
import ModelFormats
import TensorModule
import TestSupport
import Testing

/// Every op as an ONNX file: read again it computes the same.
@Suite struct ONNXWriterTests {
  static let names = OpCatalog.all.map { $0.name }.sorted()

  /// Examples that the reader cannot take back, by op, with the reason in its message.
  static let unread: [String: String] = [
    "fft": "", "unique": "", "non_max_suppression": "", "string_map": "", "string_split": "", "string_to_number": "", "as_string": "",
    "regex_full_match": "", "lookup": "",
  ]

  @Test(arguments: names)
  func readsBackWhatItWrites(_ name: String) throws {
    var random = TestRandom(named: "ONNX of \(name)")
    let op = try #require(OpCatalog.op(named: name))
    let folder = TemporaryFolder()
    var (written, refused) = (0, 0)
    for (number, example) in op.examples.enumerated() {
      let tensors = try example.inputs.enumerated().map { try random.operand(example, $0, $1) }
      // All operands given; then all but the first constant, as weights are.
      for constants in tensors.count > 1 ? [Set<Int>(), Set(tensors.indices.dropFirst())] : [Set<Int>()] {
        let (graph, feed) = try ONNXWriterTests.graph(example, tensors, constants)
        let path = folder.file("\(number)-\(constants.count).onnx")
        do { _ = try ONNXWriter.write(graph, to: path) } catch let error as KilnError where error.code == .unsupportedModel {
          refused += 1
          continue
        }
        written += 1
        guard let expected = try? ReferenceBackend.run(graph, feed) else { continue }
        try keep(path, "\(name)-\(number)-\(constants.count)", graph, feed, expected)
        let again: Graph
        do { again = try ModelImporter.read(path: path).graph } catch let error as KilnError where error.code == .unsupportedModel {
          if ONNXWriterTests.unread[name] == nil, !constants.isEmpty || tensors.count == 1 {
            Issue.record("\(name) example \(number), constants \(constants.sorted()): \(error)")
          }
          continue
        }
        let order = try graph.inputs.map { id in try #require(again.inputs.firstIndex { again[$0].name == graph[id].name }) }
        var inputs = feed
        for (place, index) in order.enumerated() { inputs[index] = feed[place] }
        let got = try ReferenceBackend.run(again, inputs)
        try #require(got.count == expected.count)
        for (left, right) in zip(got, expected) {
          #expect(left.shape == right.shape, "\(name) example \(number) \(example.op.attributes)")
          guard left.shape == right.shape else { continue }
          if right.dtype == .string { #expect(left.strings == right.strings) } else {
            let loose = [.float16, .bfloat16].contains(right.dtype) ? 0.02 : 2e-5
            let worst = zip(left.doubles, right.doubles).filter { !($0 == $1 || $0.isNaN && $1.isNaN) }
              .first { !(abs($0 - $1) <= loose * max(1, abs($1))) }
            #expect(worst == nil, "\(name) example \(number) \(example.op.attributes) \(example.inputs), constants \(constants.sorted()): \(String(describing: worst))")
          }
        }
      }
    }
    #expect(written > 0 || refused > 0)
  }

  /// A graph of the one op.
  private static func graph(_ example: OpExample, _ tensors: [Tensor], _ constants: Set<Int>) throws -> (Graph, [Tensor]) {
    var graph = Graph(name: "example")
    var (ids, feed): ([ValueID], [Tensor]) = ([], [])
    for (index, tensor) in tensors.enumerated() {
      if constants.contains(index) { ids.append(graph.addConstant("operand_\(index)", tensor)) } else {
        ids.append(try graph.addInput("operand_\(index)", TensorType(tensor.dtype, shape: tensor.shape)))
        feed.append(tensor)
      }
    }
    let results = try graph.add(example.op, ids, name: "result")
    graph.outputs = results.enumerated().map { Graph.Output(name: "output_\($0)", value: $1) }
    return (graph, feed)
  }

  /// Copies the files of an example to the folder that `KILN_ONNX_EXAMPLES` names, for `scripts/prove_onnx_export.py --examples`.
  private func keep(_ path: String, _ name: String, _ graph: Graph, _ feed: [Tensor], _ expected: [Tensor]) throws {
    guard let folder = ProcessInfo.processInfo.environment["KILN_ONNX_EXAMPLES"] else { return }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try? FileManager.default.removeItem(atPath: "\(folder)/\(name).onnx")
    try FileManager.default.copyItem(atPath: path, toPath: "\(folder)/\(name).onnx")
    let arrays = zip(graph.inputs.map { graph[$0].name }, feed).map { ($0, $1) } + zip(graph.outputs.map(\.name), expected).map { ($0, $1) }
    try NumPyFile.write(npz: arrays.filter { $0.1.dtype != .bfloat16 }.map { (name: $0.0, tensor: $0.1) }, to: "\(folder)/\(name).npz")
  }
}

extension TestRandom {
  /// A drawn operand of an example.
  fileprivate mutating func operand(_ example: OpExample, _ index: Int, _ type: TensorType) throws -> Tensor {
    let shape = type.shape ?? []
    if let texts = example.texts[index] { return Tensor(strings: texts, shape: shape) }
    if type.dtype == .string { return Tensor(strings: (0..<shape.elementCount).map { _ in ByteString(["", "a", "b c", "Ä"].randomElement(using: &self) ?? "") }, shape: shape) }
    let values = try example.fixed[index] ?? (0..<shape.elementCount).map { _ in
      let value = Double.random(in: example.range ?? (type.dtype.isFloat ? -2...2 : type.dtype == .bool ? 0...1 : -4...4), using: &self)
      return type.dtype.isFloat ? value : value.rounded()
    }
    return try ReferenceTensor(type.dtype, shape, numbers: values).tensor()
  }
}
