import GraphModule
import ModelFormats
import TensorModule
import Testing
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One TensorFlow model in one of its containers.
struct TensorFlowForm: Sendable, CustomTestStringConvertible {
  var fixture: FixtureCase
  var file: String

  var testDescription: String { "\(fixture.name)/\(file)" }

  static let all: [TensorFlowForm] = FixtureCase.entries("\(FixtureCase.root)/fixtures/tensorflow-containers").flatMap { name in
    let fixture = FixtureCase(folder: "\(FixtureCase.root)/fixtures/tensorflow-containers/\(name)", name: name)
    let files = (try? fixture.json())?["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
    return files.map { TensorFlowForm(fixture: fixture, file: $0) }
  }
}

/// Every container gives the outputs that TensorFlow gave.
@Suite struct TensorFlowContainerTests {
  @Test func thereAreAllForms() {
    let files = Set(TensorFlowForm.all.map(\.file))
    for form in ["model.pb", "model.pbtxt", "checkpoint/model.ckpt.meta", "saved_model/saved_model.pb"] {
      #expect(files.contains(form), "no \(form)")
    }
  }

  @Test(arguments: TensorFlowForm.all)
  func importsAndAgrees(_ form: TensorFlowForm) throws {
    let json = try form.fixture.json()
    var options = ImportOptions()
    if !form.file.hasPrefix("saved_model") {
      options.outputs = json["outputs"]?.arrayValue?.compactMap { $0["tensor"]?.stringValue } ?? []
    }
    options.signature = json["signature"]?.stringValue
    let graph = try ModelImporter.read(path: "\(form.fixture.folder)/\(form.file)", options: options).graph
    let given = try form.fixture.arrays(json, "inputs")
    let expected = try form.fixture.arrays(json, "outputs")
    let inputs = try graph.inputs.map { input in
      let name = graph[input].name
      return try #require(given.count == 1 ? given.first : given.first { $0.name == name }, "no input \(name)").tensor
    }
    let got = try ReferenceBackend.run(graph, inputs)
    try #require(got.count == expected.count)
    for (index, (name, wanted)) in expected.enumerated() {
      let place = graph.outputs.firstIndex { $0.name == name } ?? index
      if wanted.dtype == .string {
        #expect(got[place].strings == wanted.strings)
        continue
      }
      let tolerance = Tolerance(absolute: 1e-4 * max(1, wanted.doubles.map(\.magnitude).max() ?? 1), relative: 0)
      let difference = try TensorDifference.between(try got[place].converted(to: wanted.dtype), wanted, tolerance)
      #expect(difference.outside == 0, "output \(name): \(difference.outside) of \(wanted.count) differ by up to \(difference.maximumAbsolute)")
    }
  }

  private static let good = "\(FixtureCase.root)/fixtures/bad/tf_saved_model_good/saved_model"

  @Test func aFolderAndItsFileAreTheSame() throws {
    let folder = try ModelImporter.read(path: Self.good + "/").graph
    let file = try ModelImporter.read(path: Self.good + "/saved_model.pb").graph
    #expect(TextForm.print(folder) == TextForm.print(file))
  }

  @Test func aCheckpointIsFoundByAnyOfItsNames() throws {
    let folder = "\(FixtureCase.root)/fixtures/bad/tf_checkpoint_good"
    for name in ["model.ckpt", "model.ckpt.meta", "model.ckpt.index"] {
      let graph = try ModelImporter.read(path: "\(folder)/\(name)").graph
      #expect(graph.outputs.map(\.name) == ["scores"], "\(name)")
    }
    #expect(try ModelImporter.read(path: folder).graph.inputs.count == 1)
  }

  @Test func anUnknownSignatureNamesThoseThatThereAre() throws {
    var options = ImportOptions()
    options.signature = "other"
    let error = try #require(throws: KilnError.self) { _ = try ModelImporter.read(path: Self.good, options: options) }
    #expect(error.code == .usage && error.line.contains("'serving_default'"), "\(error.line)")
  }

  @Test func signaturesAreOnlyForSavedModels() throws {
    var options = ImportOptions()
    options.signature = "serving_default"
    let path = "\(FixtureCase.root)/fixtures/bad/good/model.h5"
    #expect(try #require(throws: KilnError.self) { _ = try ModelImporter.read(path: path, options: options) }.code == .usage)
  }

  @Test(arguments: ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", "variables"])
  func linksInsideAModelAreNotFollowed(_ name: String) throws {
    let folder = TemporaryFolder()
    let copy = folder.path + "/model"
    try Self.copy(Self.good, to: copy)
    let place = "\(copy)/\(name)"
    try #require(rename(place, folder.path + "/elsewhere") == 0)
    try #require(symlink(folder.path + "/elsewhere", place) == 0)
    let error = try #require(throws: KilnError.self) { _ = try ModelImporter.read(path: copy) }
    #expect(error.line.contains("is not a regular file") || error.line.contains("is not a folder"), "\(error.line)")
  }

  static func copy(_ folder: String, to target: String) throws {
    try #require(mkdir(target, 0o700) == 0)
    for name in FixtureCase.entries(folder) {
      var status = stat()
      try #require(stat("\(folder)/\(name)", &status) == 0)
      if status.st_mode & S_IFMT == S_IFDIR {
        try copy("\(folder)/\(name)", to: "\(target)/\(name)")
      } else {
        try write(MappedFile.contents(of: "\(folder)/\(name)"), to: "\(target)/\(name)")
      }
    }
  }

  static func write(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}

/// Damage of every kind ends in an error or in a graph, never in a crash.
@Suite struct TensorFlowMutationTests {
  struct Target: Sendable, CustomTestStringConvertible {
    var source: String
    var file: String
    var testDescription: String { "\(source)/\(file)" }
  }

  static let targets: [Target] =
    [
      Target(source: "tf_good", file: "model.pb"), Target(source: "tf_functions_100_deep", file: "model.pb"),
      Target(source: "tf_checkpoint_good", file: "model.ckpt.meta"), Target(source: "tf_checkpoint_good", file: "model.ckpt.index"),
    ]
    + ["tf_saved_model_good", "tf_saved_model_snappy", "tf_saved_model_slices"].flatMap { name in
      ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"].map {
        Target(source: "\(name)/saved_model", file: $0)
      }
    }
    + [Target(source: "../tensorflow-containers/text_form", file: "model.pbtxt")]

  @Test(arguments: targets)
  func damagedFilesEndInAnErrorOrAGraph(_ target: Target) throws {
    let folder = TemporaryFolder()
    let copy = folder.path + "/model"
    try TensorFlowContainerTests.copy("\(FixtureCase.root)/fixtures/bad/\(target.source)", to: copy)
    let isFile = target.file == "model.pb" || target.file == "model.pbtxt"
    let original = try MappedFile.contents(of: "\(copy)/\(target.file)")
    var random = TestRandom(named: "tensorflow mutations of \(target)")
    for _ in 0..<400 {
      var bytes = original
      for _ in 0...Int.random(in: 0..<3, using: &random) {
        guard !bytes.isEmpty else { break }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
        case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1..<9, using: &random)))
        case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 12)], at: place)
        case 4: bytes.removeLast(min(bytes.count, Int.random(in: 1..<64, using: &random)))
        default: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: place)
        }
      }
      try TensorFlowContainerTests.write(bytes, to: "\(copy)/\(target.file)")
      do { _ = try ModelImporter.read(path: isFile ? "\(copy)/\(target.file)" : copy) } catch let error as KilnError {
        #expect(error.code != .internal, "\(error.line)")
      }
    }
  }
}

/// The parts of a checkpoint's table.
@Suite struct CheckpointPartTests {
  @Test func checksumOfTheStandardText() {
    // The check value of CRC-32C, then TensorFlow's mask.
    let value: UInt32 = 0xE306_9283
    let masked = Array("123456789".utf8).withUnsafeBytes { CRC32C.masked($0) }
    #expect(masked == ((value >> 15) | (value << 17)) &+ 0xA282_EAD8)
  }

  @Test func decompressesLiteralsAndOverlappingCopies() throws {
    // "ab", then ten bytes from two before: one-byte and two-byte offsets.
    let block: [UInt8] = [17, 1 << 2, 0x61, 0x62, (10 - 1) << 2 | 2, 2, 0, (5 - 4) << 2 | 1, 1]
    let plain = try block.withUnsafeBytes { try Snappy.decompress($0) }
    #expect(String(decoding: plain, as: UTF8.self) == "abababababab" + "bbbbb")
  }

  @Test(
    arguments: [
      [], [5], [3, 0, 0x61], [2, 0, 0x61, 2, 1, 0, 2, 1, 0], [4, 0, 0x61, 0x0E, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
    ] as [[UInt8]])
  func refusesWrongBlocks(_ block: [UInt8]) {
    #expect(throws: KilnError.self) { try block.withUnsafeBytes { _ = try Snappy.decompress($0) } }
  }
}
