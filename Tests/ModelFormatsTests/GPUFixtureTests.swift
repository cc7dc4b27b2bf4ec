import GraphModule
import Kiln
import ModelFormats
import Synchronization
import TensorModule
import Testing

/// Every model that a real Keras wrote gives on the OpenCL device what the processor gives.
@Suite(.enabled(if: GPUFixtureTests.hasDevice)) struct GPUFixtureTests {
  static let hasDevice: Bool = {
    let there = !(Kiln.doctor().gpuDevices.first ?? "none").hasPrefix("none")
    if !there { print("NO OPENCL DEVICE ON THIS MACHINE: fixtures are not run on one (Debian: apt-get install pocl-opencl-icd)") }
    return there
  }()

  @Test(arguments: FixtureCase.matching) func agreesWithTheProcessor(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    if json["expect"]?.stringValue == "clear-error" { return }
    let graph = try ModelImporter.read(path: "\(fixture.folder)/model.h5").graph
    let inputs = Dictionary(uniqueKeysWithValues: try fixture.arrays(json, "inputs").map { ($0.name, $0.tensor) })
    let warnings = Warnings()
    var device = DeviceOptions(.auto) { warnings.add($0) }
    device.ignoresCost = true
    let got = try Model(graph: graph, options: .init(threads: 1, device: device)).predict(inputs)
    let expected = try Model(graph: graph, options: .init(threads: 1)).predict(inputs)
    #expect(warnings.all.filter { $0.hasPrefix("warning") }.isEmpty, "\(warnings.all)")
    for ((_, tensor), (name, wanted)) in zip(got, expected) {
      if wanted.dtype == .string { continue }
      let scale = max(1, wanted.doubles.filter(\.isFinite).map(\.magnitude).max() ?? 1)
      let difference = try TensorDifference.between(tensor, wanted, Tolerance(absolute: 1e-4 * scale, relative: 0))
      #expect(difference.outside == 0, "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
  }
}

/// What a model reports, from any thread.
private final class Warnings: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ text: String) { list.withLock { $0.append(text) } }

  var all: [String] { list.withLock { $0 } }
}
