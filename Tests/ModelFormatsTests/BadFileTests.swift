import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Damaged, hostile and unsupported files end in one clear line; odd but valid ones are read.
@Suite struct BadFileTests {
  static let cases = FixtureCase.bad

  @Test func thereAreCases() { #expect(Self.cases.count > 200) }

  @Test(arguments: cases)
  func endsInOneClearLine(_ fixture: FixtureCase) throws {
    let json = try fixture.json()
    let file = json["files"]?[0]?.stringValue ?? "model.h5"
    let path = "\(fixture.folder)/\(file)"
    guard json["expect"]?.stringValue == "clear-error" else {
      let result = try ModelImporter.read(path: path)
      let inputs = try fixture.arrays(json, "inputs")
      let got = try ReferenceBackend.run(result.graph, inputs.map(\.tensor))
      for (tensor, (_, wanted)) in zip(got, try fixture.arrays(json, "outputs")) {
        #expect(try TensorDifference.between(tensor, wanted).outside == 0)
      }
      return
    }
    do {
      _ = try ModelImporter.read(path: path)
      Issue.record("was read without an error")
    } catch let error as KilnError {
      let line = error.line
      #expect(!line.contains("\n") && line.unicodeScalars.count <= 1000)
      #expect(error.path.first == path)
      #expect(error.code == .badInput || error.code == .unsupportedModel, "\(error.code): \(line)")
      if let wanted = json["message_contains"]?.stringValue { #expect(line.contains(wanted), "\(line)") }
    }
  }
}
