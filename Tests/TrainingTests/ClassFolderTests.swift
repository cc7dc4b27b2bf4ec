import TensorModule
import TestSupport
import Testing
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Folders of classes against `keras.utils.image_dataset_from_directory`.
@Suite struct ClassFolderTests {
  private static let path = DataSupport.fixture("folder")

  private func expected() throws -> [String: Tensor] {
    Dictionary(uniqueKeysWithValues: try NumPyFile.read(npz: DataSupport.fixture("folder_expected.npz")).map { ($0.name, $0.tensor) })
  }

  @Test(arguments: [("rgb", 3), ("grayscale", 1)]) func pixelsAreKerass(mode: String, channels: Int) throws {
    let store = try SampleStore.load(Self.path, for: DataSupport.form([12, 10, channels], [3], .indices))
    var settings = DataSource.Settings()
    (settings.isShuffled, settings.batchSize, settings.isStrict) = (false, 3, true)
    let batches = try DataSupport.batches(try DataSource(store, settings: settings))
    #expect(batches.map(\.count) == [3, 3, 2])
    let want = try #require(try expected()[mode])
    let got = batches.flatMap { $0.inputs["input_1"]?.floats ?? [] }
    #expect(got.count == want.count)
    let worst = zip(got, want.floats).map { abs($0 - $1) }.max() ?? 0
    #expect(worst == 0, "the worst pixel is \(worst) off")
    #expect(batches.flatMap { $0.targets["dense"]?.integers ?? [] } == (try expected()["labels"])?.integers)
    #expect(store.classNames == ["Zebra", "_ant", "bee"])
  }

  @Test func splitsAreKerass() throws {
    let order = try JSON.parse(MappedFile.contents(of: DataSupport.fixture("folder_order.json")))
    let files = order["files"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let store = try SampleStore.load(Self.path, for: DataSupport.form([12, 10, 3], [3], .indices))
    #expect(store.count == files.count)
    for split in order["splits"]?.arrayValue ?? [] {
      let (seed, fraction) = (split["seed"]?.intValue ?? 0, split["split"]?.doubleValue ?? 0)
      let parts = try store.split(validation: fraction, seed: UInt64(seed))
      // Keras shuffles the training files anew; which they are is the split.
      #expect(parts.training.map { files[$0] } == split["training"]?.arrayValue?.compactMap(\.stringValue))
      #expect(parts.validation.map { files[$0] } == split["validation"]?.arrayValue?.compactMap(\.stringValue))
    }
  }

  @Test func labelsTakeTheFormOfTheLoss() throws {
    var settings = DataSource.Settings()
    (settings.isShuffled, settings.batchSize) = (false, 8)
    func targets(_ output: [Int?], _ labels: DataForm.Labels, _ path: String = Self.path) throws -> Tensor {
      let source = try DataSource(try SampleStore.load(path, for: DataSupport.form([4, 4, 3], output, labels)), settings: settings)
      return try #require(try DataSupport.batches(source).first?.targets["dense"])
    }
    let oneHot = try targets([3], .oneHot)
    #expect(oneHot.shape == [8, 3] && oneHot.dtype == .float32)
    #expect(oneHot.floats == [0, 0, 0, 1, 1, 2, 2, 2].flatMap { label in (0..<3).map { $0 == label ? 1 : 0 } })
    #expect(DataSupport.line { _ = try targets([4], .indices) }.contains("3 classes ('Zebra', '_ant', 'bee'); the output 'dense' has 4"))
    let two = TemporaryFolder()
    for name in ["no", "yes"] {
      mkdir(two.file(name), 0o755)
      _ = try two.write("\(name)/1.png", MappedFile.contents(of: Self.path + "/bee/exact.png"))
    }
    let binary = try targets([1], .binary, two.path)
    #expect(binary.shape == [2, 1] && binary.floats == [0, 1])
  }

  @Test func badFilesAreLeftOutAndCountedOrRefused() throws {
    let folder = TemporaryFolder()
    mkdir(folder.file("a"), 0o755)
    let good = try MappedFile.contents(of: Self.path + "/bee/exact.png")
    for index in 0..<5 { _ = try folder.write("a/\(index).png", good) }
    _ = try folder.write("a/2.png", Array(good.prefix(good.count / 2)))
    _ = try folder.write("a/4.png", Array("<html>".utf8))
    let store = try SampleStore.load(folder.path, for: DataSupport.form([6, 6, 3], [1], .indices))
    for threads in [0, 3] {
      var settings = DataSource.Settings()
      (settings.isShuffled, settings.batchSize, settings.threads) = (false, 2, threads)
      let source = try DataSource(store, settings: settings)
      // The last batch has nothing that can be read.
      #expect(try DataSupport.batches(source).map(\.count) == [2, 1])
      #expect(try DataSupport.batches(source, epoch: 1).map(\.count) == [2, 1])
      #expect(source.skippedCount == 2)
      #expect(source.skippedErrors.contains { $0.line == "\(folder.path)/a/4.png: is neither a PNG nor a JPEG file" })
      settings.batchSize = 1
      let single = try DataSource(store, settings: settings)
      #expect(try DataSupport.batches(single).count == 3)
      #expect(try DataSupport.batches(single, first: 2).count == 1, "left-out batches were none of those taken before")
      settings.isStrict = true
      #expect(DataSupport.line { _ = try DataSupport.batches(try DataSource(store, settings: settings)) }.hasPrefix("\(folder.path)/a/2.png: damaged picture"))
    }
  }

  @Test func foldersThatHoldNoClasses() throws {
    let folder = TemporaryFolder()
    let form = DataSupport.form([6, 6, 3], [2], .indices)
    func line(_ form: DataForm) -> String { DataSupport.line { _ = try SampleStore.load(folder.path, for: form) } }
    #expect(line(form) == "\(folder.path): has no sub-folder; expected one for each class")
    mkdir(folder.file("a"), 0o755)
    mkdir(folder.file("b"), 0o755)
    #expect(line(form).hasPrefix("\(folder.path)/a: the class folder holds no .png or .jpg file"))
    _ = try folder.write("a/1.png", [1])
    #expect(line(form).hasPrefix("\(folder.path)/b: the class folder holds no .png or .jpg file"))
    #expect(line(DataSupport.form([6, 6, 3], [2], .indices, classNames: ["a", "c"])).contains("the folder 'b' is none of the model's 2 classes"))
    #expect(line(DataSupport.form([6], [2], .indices)).contains("which is no picture"))
    #expect(DataSupport.line { _ = try SampleStore.load(folder.file("none"), for: form) }.contains("No such file"))
  }
}
