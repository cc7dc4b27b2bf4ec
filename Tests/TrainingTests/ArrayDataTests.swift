import TensorModule
import TestSupport
import Testing
import Training

/// `.npz`, `.csv` and `.tfrecord` data, good and bad.
@Suite struct ArrayDataTests {
  private func first(_ store: SampleStore) throws -> Batch {
    var settings = DataSource.Settings()
    (settings.isShuffled, settings.batchSize) = (false, store.count)
    return try #require(try DataSupport.batches(try DataSource(store, settings: settings)).first)
  }

  @Test func arraysTakeTheModelsForm() throws {
    let folder = TemporaryFolder()
    let x = try Tensor((0..<24).map { UInt8($0) }, shape: [2, 3, 4])
    func load(_ y: Tensor, _ form: DataForm) throws -> Batch {
      try first(try SampleStore.load(try DataSupport.npz(folder, [("x_train", x), ("y_train", y)]), for: form))
    }
    let integers = try load(try Tensor([1, 0] as [Int32], shape: [2]), DataSupport.form([3, 4, 1], [3], .oneHot))
    #expect(integers.inputs["input_1"]?.shape == [2, 3, 4, 1] && integers.inputs["input_1"]?.floats == (0..<24).map { Float($0) })
    #expect(integers.targets["dense"]?.floats == [0, 1, 0, 1, 0, 0])
    let rows = try load(try Tensor([0, 0, 1, 1, 0, 0] as [Float], shape: [2, 3]), DataSupport.form([3, 4], [3], .indices))
    #expect(rows.targets["dense"]?.integers == [2, 0] && rows.targets["dense"]?.dtype == .int32)
    let columns = try load(try Tensor([2, 1] as [Double], shape: [2, 1]), DataSupport.form([3, nil], [nil], .indices))
    #expect(columns.targets["dense"]?.shape == [2] && columns.targets["dense"]?.integers == [2, 1])
    let names = try load(Tensor(strings: ["b", "a"], shape: [2]), DataSupport.form([3, 4], [2], .indices))
    #expect(names.targets["dense"]?.integers == [1, 0])
    let ordered = try load(Tensor(strings: ["b", "a"], shape: [2]), DataSupport.form([3, 4], [2], .indices, classNames: ["b", "a"]))
    #expect(ordered.targets["dense"]?.integers == [0, 1])
    let soft = try load(try Tensor([0.25, 0.75, 1, 0] as [Float], shape: [2, 2]), DataSupport.form([3, 4], [2], .oneHot))
    #expect(soft.targets["dense"]?.floats == [0.25, 0.75, 1, 0])
    let numbers = try load(try Tensor([0.5, 2] as [Float], shape: [2]), DataSupport.form([3, 4], [1], .numbers))
    #expect(numbers.targets["dense"]?.shape == [2, 1] && numbers.targets["dense"]?.floats == [0.5, 2])
    let binary = try load(try Tensor([1, 0] as [Int64], shape: [2]), DataSupport.form([3, 4], [1], .binary))
    #expect(binary.targets["dense"]?.shape == [2, 1] && binary.targets["dense"]?.floats == [1, 0])
    let chances = try load(try Tensor([0.3, 0] as [Float], shape: [2, 1]), DataSupport.form([3, 4], [1], .binary))
    #expect(chances.targets["dense"]?.floats == [0.3, 0])
    var masked = DataSupport.form([3, 4], [2], .indices)
    masked.targets[0].ignoredLabel = -1
    #expect(try load(try Tensor([1, -1] as [Int32], shape: [2]), masked).targets["dense"]?.integers == [1, -1])
    let steps = try load(try Tensor([0, 1, 2, 2, 1, 0] as [Int64], shape: [2, 3]), DataSupport.form([3, 4], [3, 3], .indices))
    #expect(steps.targets["dense"]?.shape == [2, 3])
  }

  @Test func weightsOfStepsOutputsAndRows() throws {
    let folder = TemporaryFolder()
    let x = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
    let form = DataForm(
      inputs: [DataForm.Input("x", dims: [2])],
      targets: [DataForm.Target("p", dims: [3, 4], labels: .indices), DataForm.Target("q", dims: [1], labels: .numbers)])
    let labels = try Tensor([0, 1, 2, 3, 1, 0] as [Int64], shape: [2, 3])
    let weights = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    let path = try DataSupport.npz(
      folder, [("x", x), ("p", labels), ("q", try Tensor([7, 8] as [Float], shape: [2])), ("sample_weight_p", weights), ("sample_weight", try Tensor([9, 10] as [Float], shape: [2]))])
    let batch = try first(try SampleStore.load(path, for: form))
    #expect(batch.sampleWeights["p"]?.shape == [2, 3] && batch.sampleWeights["p"]?.floats == [1, 2, 3, 4, 5, 6])
    #expect(batch.sampleWeights["q"]?.shape == [2] && batch.sampleWeights["q"]?.floats == [9, 10])
    let table = try folder.write("t.csv", Array("a,sample_weight,b,y\n1,0.5,2,0\n3,2,4,1\n".utf8))
    let rows = try first(try SampleStore.load(table, for: DataSupport.form([2], [2], .indices)))
    #expect(rows.inputs["input_1"]?.floats == [1, 2, 3, 4] && rows.sampleWeights["dense"]?.floats == [0.5, 2])
  }

  @Test func severalInputsAndWeights() throws {
    let form = DataForm(
      inputs: [DataForm.Input("a", dims: [2]), DataForm.Input("b", aliases: ["bee"], dtype: .int32, dims: [1])],
      targets: [DataForm.Target("p", dims: [1], labels: .numbers), DataForm.Target("q", dims: [2], labels: .indices)])
    let folder = TemporaryFolder()
    let path = try DataSupport.npz(
      folder,
      [
        ("a", try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])), ("bee", try Tensor([5, 6] as [Int64], shape: [2])),
        ("p", try Tensor([7, 8] as [Float], shape: [2])), ("q", try Tensor([1, 0] as [Int64], shape: [2])),
        ("sample_weight", try Tensor([1, 3] as [Double], shape: [2])),
      ])
    let batch = try first(try SampleStore.load(path, for: form))
    #expect(batch.inputs["b"]?.dtype == .int32 && batch.inputs["b"]?.integers == [5, 6])
    #expect(batch.targets["p"]?.floats == [7, 8] && batch.targets["q"]?.integers == [1, 0])
    #expect(batch.sampleWeights["p"]?.floats == [1, 3] && batch.sampleWeights["q"]?.floats == [1, 3])
  }

  @Test func badArraysAreOneLine() throws {
    let folder = TemporaryFolder()
    let good = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
    let labels = try Tensor([0, 1] as [Int64], shape: [2])
    func line(_ x: Tensor, _ y: Tensor, _ form: DataForm = DataSupport.form([2], [2], .indices)) throws -> String {
      let path = try DataSupport.npz(folder, [("x", x), ("y", y)])
      return DataSupport.line { _ = try SampleStore.load(path, for: form) }.replacing(folder.path + "/", with: "")
    }
    #expect(try line(good, labels) == "no error")
    #expect(try line(try Tensor([1, 2, .nan, 4] as [Float], shape: [2, 2]), labels) == "data.npz: x: sample 1 holds NaN at [0]; expected finite numbers")
    #expect(try line(try Tensor([1, .infinity, 3, 4] as [Double], shape: [2, 2]), labels) == "data.npz: x: sample 0 holds inf at [1]; expected finite numbers")
    #expect(try line(good, try Tensor([0, 2] as [Int64], shape: [2])) == "data.npz: y: sample 1 has the label 2; the output has classes 0…1")
    #expect(try line(good, try Tensor([-1, 0] as [Int64], shape: [2])) == "data.npz: y: sample 0 has the label -1; the output has classes 0…1")
    #expect(try line(good, try Tensor([0, 0.5] as [Float], shape: [2])) == "data.npz: y: sample 1 has the label 0.5; classes are integers from 0")
    #expect(try line(good, try Tensor([0, 1, 0] as [Int64], shape: [3])) == "data.npz: y: expected 2 samples, found the shape [3]")
    #expect(try line(try Tensor([1, 2, 3] as [Float], shape: [1, 3]), labels).hasPrefix("data.npz: x: expected [2] a sample for the input 'input_1', found [3]"))
    #expect(try line(good, Tensor(strings: ["a", "b"], shape: [2]), DataSupport.form([2], [3], .indices)).contains("2 classes ('a', 'b'); the output 'dense' has 3"))
    #expect(try line(good, Tensor(strings: ["a", "z"], shape: [2]), DataSupport.form([2], [2], .indices, classNames: ["a", "b"])).contains("sample 1 has the label 'z', which is none of the classes 'a', 'b'"))
    #expect(try line(try Tensor([1.5, 2] as [Float], shape: [2, 1]), labels, DataSupport.form([1], [2], .indices, dtype: .int32)).contains("holds 1.5, which int32 of the input 'input_1' cannot hold"))
    #expect(try line(good, try Tensor([.nan, 0] as [Float], shape: [2]), DataSupport.form([2], [1], .numbers)) == "data.npz: y: sample 0 holds NaN; expected finite numbers")
    #expect(try line(try Tensor([] as [Float], shape: [0, 2]), try Tensor([] as [Int64], shape: [0])) == "data.npz: holds no samples")
    let path = try DataSupport.npz(folder, [("features", good)])
    #expect(DataSupport.line { _ = try SampleStore.load(path, for: DataSupport.form([2], [2], .indices)) }.contains("holds no array 'input_1' or 'x' or 'x_train' for the input; it has 'features'"))
  }

  @Test func tables() throws {
    let folder = TemporaryFolder()
    func load(_ text: String, _ form: DataForm, target: String? = nil) throws -> SampleStore {
      try SampleStore.load(try folder.write("t.csv", Array(text.utf8)), for: form, options: DataOptions(target: target))
    }
    let flower = "width,\"the, kind\", height\r\n1.5,\"a \"\"x\"\"\",2\r\n3,b,4\n"
    let store = try load(flower, DataSupport.form([2], [2], .indices), target: "the, kind")
    let batch = try first(store)
    #expect(batch.inputs["input_1"]?.floats == [1.5, 2, 3, 4] && batch.targets["dense"]?.integers == [0, 1])
    #expect(store.classNames == ["a \"x\"", "b"])
    #expect(try first(try load("y,a,b\n3,1,2\n", DataSupport.form([nil], [1], .numbers))).targets["dense"]?.floats == [3])
    let two = DataForm(
      inputs: [DataForm.Input("u", dims: [2]), DataForm.Input("v", dims: [1])], targets: [DataForm.Target("o", dims: [1], labels: .numbers)])
    #expect(try first(try load("v,u_0,y,u_1\n1,2,3,4\n", two)).inputs["u"]?.floats == [2, 4])
    func line(_ text: String, _ form: DataForm = DataSupport.form([2], [2], .indices)) -> String {
      DataSupport.line { _ = try load(text, form) }.replacing(folder.path + "/", with: "")
    }
    #expect(line("a,b,y\n1,red,0\n").hasPrefix("t.csv: column 'b': row 2 holds 'red'; expected numbers"))
    #expect(line("a,b,y\n1,2,0\n1,,0\n") == "t.csv: column 'b': row 3 has no value")
    #expect(line("a,b,y\n1,nan,0\n") == "t.csv: column 'b': row 2 holds nan; expected finite numbers")
    #expect(line("a,b,y\n1,2,0,4\n") == "t.csv: row 2 has 4 fields, the header 3")
    #expect(line("a,b,y\n1,2,5\n") == "t.csv: column 'y': sample 0 has the label 5; the output has classes 0…1")
    #expect(line("a,b,z\n1,2,5\n").contains("no column 'dense' or 'y'"))
    #expect(line("a,y\n1,0\n").contains("1 columns besides the target; the input 'input_1' takes [2] a sample"))
    #expect(line("a,a,y\n1,2,0\n") == "t.csv: two columns are called 'a'")
    #expect(line("a,b,y\n").contains("expected a header and rows"))
    #expect(line("a,b,y\n\"1,2,3\n") == "t.csv: the quoted field 1 of row 2 does not end")
  }

  @Test func recordsOfTensorFlow() throws {
    let want = Dictionary(uniqueKeysWithValues: try NumPyFile.read(npz: DataSupport.fixture("floats_expected.npz")).map { ($0.name, $0.tensor) })
    let path = DataSupport.fixture("floats.tfrecord")
    let batch = try first(try SampleStore.load(path, for: DataSupport.form([4], [3], .indices)))
    #expect(batch.inputs["input_1"]?.floats == want["x"]?.floats && batch.targets["dense"]?.integers == want["y"]?.integers)
    let pictures = try first(try SampleStore.load(DataSupport.fixture("pictures.tfrecord"), for: DataSupport.form([12, 10, 3], [3], .indices)))
    let keras = try #require(try NumPyFile.read(npz: DataSupport.fixture("folder_expected.npz")).first { $0.name == "rgb" }).tensor.floats
    let wanted = [0, 4, 7].flatMap { keras[$0 * 360..<($0 + 1) * 360] }
    #expect(zip(pictures.inputs["input_1"]?.floats ?? [], wanted).allSatisfy { abs($0 - $1) < 1e-4 })
    #expect(pictures.targets["dense"]?.integers == [0, 1, 2])
    let folder = TemporaryFolder()
    let bytes = try MappedFile.contents(of: path)
    func line(_ bytes: [UInt8], _ form: DataForm = DataSupport.form([4], [3], .indices)) throws -> String {
      let file = try folder.write("d.tfrecord", bytes)
      return DataSupport.line { _ = try SampleStore.load(file, for: form) }.replacing(folder.path + "/", with: "")
    }
    for place in [2, 9, 20, 55] {
      var damaged = bytes
      damaged[place] ^= 4
      #expect(try line(damaged).hasPrefix("d.tfrecord: record 0 at byte 0: the checksum of its"), "\(place)")
    }
    #expect(try line(Array(bytes.dropLast(2))) == "d.tfrecord: record 4 at byte 244: the file ends inside it")
    #expect(try line(Array(bytes.dropLast(55))) == "d.tfrecord: record 4 at byte 244: the file ends inside its head")
    #expect(try line([0x1F, 0x8B, 8, 0]).contains("is compressed by gzip"))
    #expect(try line([]) == "d.tfrecord: holds no records")
    #expect(try line(bytes, DataSupport.form([5], [3], .indices)).contains("feature 'x': expected [5] a sample for the input 'input_1', found [4]"))
    #expect(try line(bytes, DataSupport.form([4], [2], .indices)).contains("feature 'label': sample"))
  }
}
