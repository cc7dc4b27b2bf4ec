import Foundation
import GraphModule
import ModelFormats
import TensorModule
import Testing

/// Files that the writers make: read again they predict the same; they are laid out as Keras lays them out.
@Suite struct KerasWriterTests {
  /// Models of every generation.
  static let cases: [(name: String, file: String)] = [
    ("keras-1.2.2-theano/arch_lenet_cf", "model.h5"), ("keras-1.2.2-theano/model_table_maxout_highway_srelu", "model.h5"),
    ("keras-1.2.2-theano/bidirectional_lstm_masked", "model.h5"), ("keras-1.2.2-tensorflow/conv_lstm2d_valid_cl", "model.h5"),
    ("keras-1.2.2-theano/convolution1d_same_k4_s2", "model.h5"), ("keras-2.3.1-theano/locally_connected2d_valid_cf", "model.h5"),
    ("keras-2.3.1-cntk/depthwise_conv2d_same_s2_cf", "model.h5"), ("tf.keras-2.13.1/mask_encoder_decoder", "model.h5"),
    ("tf.keras-2.13.1/trained_with_adam", "model.h5"), ("keras-containers/keras-3.15.1__bidirectional_stacked", "model.keras"),
    ("keras-3.15.1/trained_with_adam", "model.h5"),
  ].filter { FileManager.default.fileExists(atPath: "\(FixtureCase.root)/fixtures/\($0.0)/\($0.1)") }

  static func fixture(_ name: String) -> FixtureCase { FixtureCase(folder: "\(FixtureCase.root)/fixtures/\(name)", name: name) }

  static func folder() throws -> String {
    let path = NSTemporaryDirectory() + "kiln-writer-\(UInt64.random(in: 0...UInt64.max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  /// Imports a file, writes its document, and gives back what was read and where it was written.
  static func written(_ name: String, _ file: String, as target: KerasTarget, in folder: String) throws -> (ImportResult, String) {
    let source = try ModelImporter.read(path: "\(fixture(name).folder)/\(file)")
    let path = "\(folder)/out." + (target == .keras3Archive ? "keras" : "h5")
    try KerasWriter.write(#require(source.document), optimizer: source.training?.variables ?? [], as: target, to: path, overwriting: true)
    return (source, path)
  }

  @Test func thereAreModelsOfAllGenerations() {
    for part in ["keras-1", "keras-2", "tf.keras", "keras-3"] { #expect(KerasWriterTests.cases.contains { $0.name.hasPrefix(part) }, "none of \(part)") }
  }

  /// What a target's Keras does not read, or reads and does not use, is refused.
  @Test(arguments: [
    ("keras-3.15.1/names_unicode/model.h5", KerasTarget.keras2H5, "TensorFlow"), ("keras-3.15.1/ops_slices/model.h5", .keras3H5, "ellipsis"),
    ("keras-containers/keras-3.13.0__quantized_dense_int4/model.keras", .keras3Archive, "packed as before Keras 3.14"),
    ("keras-containers/keras-3.15.1__quantized_dense_float8/model.keras", .keras3H5, "float8"),
    ("text-keras-3.15.1/integer_tf_idf/model.h5", .keras3H5, "tf_idf"),
    ("joined-tf_keras-2.21.0/cases_of_2_02/model.h5", .keras3H5, "Normalization"),
    ("keras-3.15.1/crossed_lstm_backwards_masked/model.h5", .keras2H5, "no mask beside initial states"),
  ])
  func refusesWhatKerasDoesNotRead(_ place: String, _ target: KerasTarget, _ word: String) throws {
    let source = try ModelImporter.read(path: "\(FixtureCase.root)/fixtures/\(place)")
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect {
      try KerasWriter.write(#require(source.document), as: target, to: "\(folder)/out.h5")
    } throws: { error in
      let error = error as? KilnError
      return error?.code == .unsupportedModel && error?.message.contains(word) == true
    }
  }

  /// Keras 2 reads a call's keywords behind the last tensor.
  @Test func keywordsStandBehindEachTensor() throws {
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (_, path) = try KerasWriterTests.written("keras-3.15.1/additive_attention_scores", "model.h5", as: .keras2H5, in: folder)
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    #expect(text.contains(#"[["in_0",0,0,{"return_attention_scores":true}],["in_1",0,0,{"return_attention_scores":true}]]"#))
  }

  @Test(arguments: cases.map { "\($0.name)/\($0.file)" }, [KerasTarget.keras3Archive, .keras3H5, .keras2H5])
  func predictsTheSameWhenReadAgain(_ place: String, _ target: KerasTarget) throws {
    let slash = try #require(place.lastIndex(of: "/"))
    let (name, file) = (String(place[..<slash]), String(place[place.index(after: slash)...]))
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    if target == .keras2H5, name.hasSuffix("mask_encoder_decoder") {
      // Keras 2 has no layer for the comparison that makes its mask.
      #expect(throws: KilnError.self) { try KerasWriterTests.written(name, file, as: target, in: folder) }
      return
    }
    let (source, path) = try KerasWriterTests.written(name, file, as: target, in: folder)
    let again = try ModelImporter.read(path: path)
    let fixture = KerasWriterTests.fixture(name)
    let json = try fixture.json()
    let inputs = try fixture.arrays(json, "inputs").map(\.tensor)
    let expected = try fixture.arrays(json, "outputs")
    let got = try ReferenceBackend.run(again.graph, inputs)
    try #require(got.count == expected.count)
    for (value, (output, wanted)) in zip(got, expected) {
      let difference = try TensorDifference.between(value, wanted.reshaped(value.shape), .framework)
      #expect(difference.outside == 0, "output \(output) differs by up to \(difference.maximumAbsolute)")
    }
    // A file of Keras 3 has the same graph again.
    if target == .keras3Archive, file.hasSuffix(".keras") {
      var (first, second) = (source.graph, again.graph)
      (first.metadata, second.metadata) = ([:], [:])
      #expect(TextForm.print(first, inlineConstants: false) == TextForm.print(second, inlineConstants: false))
    }
  }

  @Test func writesTheSameBytesForTheSameModel() throws {
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for target in [KerasTarget.keras3Archive, .keras3Weights, .keras3H5, .keras2H5, .keras2Weights] {
      let first = try Data(contentsOf: URL(fileURLWithPath: KerasWriterTests.written("tf.keras-2.13.1/trained_with_adam", "model.h5", as: target, in: folder).1))
      let second = try Data(contentsOf: URL(fileURLWithPath: KerasWriterTests.written("tf.keras-2.13.1/trained_with_adam", "model.h5", as: target, in: folder).1))
      #expect(first == second, "\(target)")
    }
  }

  @Test func laysOutAnArchiveAsKerasDoes() throws {
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (_, path) = try KerasWriterTests.written("tf.keras-2.13.1/trained_with_adam", "model.h5", as: .keras3Archive, in: folder)
    let file = try MappedFile(path: path)
    let zip = try ZipArchive(file.bytes, owner: file)
    #expect(zip.members.map(\.name) == ["metadata.json", "config.json", "model.weights.h5"])
    let config = try JSON.parse(zip.contents(of: #require(zip.member(named: "config.json")), limit: 1 << 20))
    #expect(config["class_name"]?.stringValue == "Sequential")
    let layers = try #require(config["config"]?["layers"]?.arrayValue)
    #expect(layers.map { $0["class_name"]?.stringValue } == ["InputLayer", "Dense", "BatchNormalization", "Dropout", "Dense"])
    #expect(layers.allSatisfy { $0["module"]?.stringValue == "keras.layers" })
    #expect(config["compile_config"]?["optimizer"]?["class_name"]?.stringValue == "Adam")
    #expect(!zip.members.contains { $0.name.hasPrefix("assets/") })
  }

  @Test func keepsTheStateOfAdam() throws {
    let source = try ModelImporter.read(path: "\(KerasWriterTests.fixture("tf.keras-2.4.0/trained_with_adam").folder)/model.h5")
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (_, path) = try KerasWriterTests.written("tf.keras-2.4.0/trained_with_adam", "model.h5", as: .keras3Archive, in: folder)
    let state = try #require(try ModelImporter.read(path: path).training)
    #expect(state.configuration["optimizer"]?["class_name"]?.stringValue == "Adam")
    let before = try #require(source.training?.variables)
    #expect(state.variables.count == before.count + 1)
    #expect(state.variables[0].tensor.doubles == before[0].tensor.doubles)
    // Of each variable the first moment, then the second; older tf.keras has all first moments before.
    let half = (before.count - 1) / 2
    for index in 0..<half {
      #expect(state.variables[2 + 2 * index].tensor.doubles == before[1 + index].tensor.doubles)
      #expect(state.variables[3 + 2 * index].tensor.doubles == before[1 + half + index].tensor.doubles)
    }
  }

  @Test func refusesWhatTheTargetLacksAndNamesEveryLayer() throws {
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let error = #expect(throws: KilnError.self) {
      try KerasWriterTests.written("keras-1.2.2-theano/batch_normalization_mode_2_2d", "model.h5", as: .keras3Archive, in: folder)
    }
    #expect(error?.code == .unsupportedModel)
    #expect(error?.message.contains("mode 2 of Keras 1") == true)
    let mask = #expect(throws: KilnError.self) {
      try KerasWriterTests.written("tf.keras-2.13.1/mask_add_lstm", "model.h5", as: .keras3Archive, in: folder)
    }
    #expect(mask?.message.contains("'add'") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
  }

  /// Keras 3 computes a mask by functions that are nodes of its graph: they make the layer before Masking deeper than in Keras 2, and
  /// weights go by that order.
  @Test func countsTheFunctionsThatComputeMasks() throws {
    let source = try ModelImporter.read(path: "\(KerasWriterTests.fixture("tf_keras-2.21.0/mask_depth_order").folder)/model.h5")
    let made = try #require(source.document)
    // As a .kiln keeps it.
    let document = try KerasDocument(made.json, tensors: made.variables.map(\.tensor))
    for document in [made, document] {
      let deep = try #require(document.variables.first { $0.layer == "deep" })
      #expect(deep.places == ["layers/dense/vars/0"])
      #expect(document.variables.first { $0.layer == "flat" }?.places == ["layers/dense_1/vars/0"])
      let folder = try KerasWriterTests.folder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      for (target, names) in [(KerasTarget.keras3H5, ["deep", "flat"]), (.keras2H5, ["flat", "deep"])] {
        let path = "\(folder)/out.h5"
        try KerasWriter.write(document, as: target, to: path, overwriting: true)
        // The list of the layers' names is an attribute, of strings as wide as the longest.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let list = try #require(bytes.range(of: Data("layer_names".utf8)))
        let places = names.compactMap { bytes.range(of: Data("\0\($0)\0".utf8), in: list.upperBound..<bytes.endIndex)?.lowerBound }
        #expect(places.count == 2 && places == places.sorted(), "\(target)")
      }
    }
  }

  @Test func leavesNothingBehindWhenItCannotWrite() throws {
    let folder = try KerasWriterTests.folder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (source, path) = try KerasWriterTests.written("tf.keras-2.13.1/trained_with_adam", "model.h5", as: .keras3Archive, in: folder)
    let document = try #require(source.document)
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    let exists = #expect(throws: KilnError.self) { try KerasWriter.write(document, as: .keras3Archive, to: path) }
    #expect(exists?.message.contains("exists already") == true)
    #expect(throws: KilnError.self) {
      try KerasWriter.write(document, as: .keras3Archive, to: path, overwriting: true) { _ in throw KilnError(.toleranceExceeded, "differs") }
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out.keras"])
    #expect(throws: KilnError.self) { try KerasWriter.write(document, as: .keras3H5, to: "\(folder)/none/out.h5") }
  }
}
