import GraphModule
import Kiln
import ModelFormats
import Synchronization
import TensorModule
import Testing

/// Models that a real Keras wrote give on the OpenCL device what the processor gives: of all fixtures those that bring an op or
/// a dtype of one that no fixture before them had. `scripts/run-on-device` runs every file of every case.
@Suite(.enabled(if: OpenCLDevice.isThere)) struct GPUFixtureTests {
  /// Two shares, for two processors.
  @Test(arguments: 0..<2) func agreesWithTheProcessor(share: Int) throws {
    var known: Set<String> = []
    var count = 0
    // Joined cases hold hundreds of small programs.
    for fixture in FixtureCase.matching where !fixture.name.hasPrefix("joined") {
      let json = try fixture.json()
      if json["expect"]?.stringValue == "clear-error" { continue }
      guard let graph = try? ModelImporter.read(path: "\(fixture.folder)/model.h5").graph else { continue }
      let forms = Self.forms(graph)
      if forms.isSubset(of: known) { continue }
      known.formUnion(forms)
      count += 1
      if count % 2 == share { try run(fixture, json, graph) }
    }
    #expect(count > 20, "only \(count) cases bring anything new")
  }

  private func run(_ fixture: FixtureCase, _ json: JSON, _ graph: Graph) throws {
    let inputs = Dictionary(uniqueKeysWithValues: try fixture.arrays(json, "inputs").map { ($0.name, $0.tensor) })
    let warnings = Warnings()
    var device = DeviceOptions(.auto) { warnings.add($0) }
    (device.ignoresCost, device.acceptsProcessors) = (true, true)
    let got = try Model(graph: graph, options: .init(threads: 1, device: device)).predict(inputs)
    let expected = try Model(graph: graph, options: .init(threads: 1)).predict(inputs)
    #expect(warnings.all.filter { $0.hasPrefix("warning") }.isEmpty, "\(fixture.name): \(warnings.all)")
    for ((_, tensor), (name, wanted)) in zip(got, expected) {
      if wanted.dtype == .string { continue }
      let scale = max(1, wanted.doubles.filter(\.isFinite).map(\.magnitude).max() ?? 1)
      let difference = try TensorDifference.between(tensor, wanted, Tolerance(absolute: 1e-4 * scale, relative: 0))
      #expect(
        difference.outside == 0,
        "\(fixture.name), output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
  }

  /// What a graph's nodes ask of kernels. Their functions and attributes are all in the conformance suite, and each makes a program of
  /// its own, which takes a quarter of a second to compile: here it is whole models that count.
  private static func forms(_ graph: Graph) -> Set<String> {
    Set(
      graph.nodes.map { node in
        if node.op is Elementwise || node.op is ElementwiseChain { return "elementwise" }
        return "\(node.op.opName) \(node.inputs.first.map { graph.type(of: $0).dtype.name } ?? "")"
      })
  }
}

private enum OpenCLDevice {
  static let isThere: Bool = {
    let there = !(Kiln.doctor().gpuDevices.first ?? "none").hasPrefix("none")
    if !there { print("NO OPENCL DEVICE ON THIS MACHINE: fixtures are not run on one (Debian: apt-get install pocl-opencl-icd)") }
    return there
  }()
}

/// What a model reports, from any thread.
private final class Warnings: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ text: String) { list.withLock { $0.append(text) } }

  var all: [String] { list.withLock { $0 } }
}
