import Foundation
import TensorModule
import TestSupport
import Testing

@Suite struct DemoTests {
  private static let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

  /// What `scripts/demo` does, from pictures to labels.
  @Test func readsTheDigitsOnPictures() throws {
    let run = try Command.kinfer(
      "predict", Demo.model(), "--input", Command.fixture("demo"), "--labels", Command.fixture("demo/labels.txt"), "--top", "2")
    #expect(run.exitCode == 0, "\(run.errors)")
    let lines = run.text.split(separator: "\n")
    #expect(lines.count == 10)
    for (digit, line) in lines.enumerated() {
      let words = line.split(separator: " ")
      try #require(words.count == 5)
      #expect(words[0] == "digit_\(digit).png")
      #expect(words[1] == DemoTests.names[digit])
      #expect(try #require(Double(words[2])) > 0.9)
    }
  }

  @Test func agreesWithKeras() throws {
    let folder = TemporaryFolder()
    let run = try Command.kinfer(
      "predict", Demo.model(), "--input", Command.fixture("demo/input_pixels.npy"), "--output", folder.file("out.npz"))
    #expect(run.exitCode == 0, "\(run.errors)")
    let outputs = try NumPyFile.read(npz: folder.file("out.npz"))
    #expect(outputs.map(\.name) == ["digit"])
    let expected = try NumPyFile.read(npy: Command.fixture("demo/expected_digit.npy"))
    #expect(try TensorDifference.between(outputs[0].tensor, expected).outside == 0)
  }

  /// A foreign file is imported on the way, and kept by its content; a damaged entry is made anew.
  @Test func importsAndCaches() throws {
    let folder = TemporaryFolder()
    let environment = ["XDG_CACHE_HOME": folder.path]
    let arguments = ["predict", Demo.source, "--input", Command.fixture("demo/digit_3.png"), "--top", "1"]
    func predict(_ more: String...) throws -> String {
      let run = try Command.run("kinfer", arguments + more, environment: environment)
      #expect(run.exitCode == 0, "\(run.errors)")
      return run.text
    }
    let first = try predict("--no-cache")
    #expect(first.hasPrefix("digit_3.png  3 "))
    #expect(folder.names.isEmpty)
    #expect(try predict() == first)
    let entries = try FileManager.default.contentsOfDirectory(atPath: folder.file("kiln"))
    try #require(entries.count == 1)
    let entry = folder.file("kiln/\(entries[0])")
    let written = try FileManager.default.attributesOfItem(atPath: entry)[.modificationDate] as? Date
    #expect(try predict() == first)
    #expect(try FileManager.default.attributesOfItem(atPath: entry)[.modificationDate] as? Date == written)
    try Data("damaged".utf8).write(to: URL(filePath: entry))
    #expect(try predict() == first)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("kiln")) == entries)
  }
}
