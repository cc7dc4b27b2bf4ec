import GraphModule
import ModelFormats
import TensorModule
import Testing

/// What a legacy file does not say, and what the caller may say in its place.
@Suite struct LegacyOriginTests {
  private static let pooling = "keras-1.2.2-theano/average_pooling2d_p4_s2_same_cf"
  private static let padding = "keras-1.2.2-theano/zero_padding2d_cf"

  private func result(
    _ name: String, backend: ImportOptions.Backend? = nil, dataFormat: DataFormat? = nil
  ) throws -> (ImportResult, isExpected: Bool) {
    let fixture = FixtureCase(folder: "\(FixtureCase.root)/fixtures/\(name)", name: name)
    var options = ImportOptions()
    options.backend = backend
    options.dataFormat = dataFormat
    let result = try ModelImporter.read(path: "\(fixture.folder)/model.h5", options: options)
    let json = try fixture.json()
    let got = try ReferenceBackend.run(result.graph, try fixture.arrays(json, "inputs").map(\.tensor))
    let wanted = try #require(try fixture.arrays(json, "outputs").first?.tensor)
    let first = try #require(got.first)
    guard first.shape == wanted.shape else { return (result, false) }
    return (result, try TensorDifference.between(first, wanted, .framework).outside == 0)
  }

  private func code(_ body: () throws -> Void) -> (KilnError.Code, String)? {
    do { try body() } catch let error as KilnError { return (error.code, error.line) } catch { return nil }
    return nil
  }

  @Test func theBackendDecidesWherePoolingBegins() throws {
    #expect(try result(Self.pooling, backend: .theano).isExpected)
    #expect(try !result(Self.pooling, backend: .tensorflow).isExpected)
    let found = code { _ = try result(Self.pooling) }
    #expect(found?.0 == .unsupportedModel)
    #expect(found?.1.contains("--backend tensorflow or --backend theano") == true, "\(found?.1 ?? "")")
    #expect(found?.1.contains("averagepooling2d_1") == true, "\(found?.1 ?? "")")
  }

  @Test func theOrderOfAxesDecidesWhereZerosGo() throws {
    #expect(try result(Self.padding, dataFormat: .channelsFirst).isExpected)
    #expect(try !result(Self.padding, dataFormat: .channelsLast).isExpected)
    #expect(code { _ = try result(Self.padding) }?.0 == .unsupportedModel)
  }

  /// Nothing else than what the file says is taken.
  @Test(
    arguments: [
      ("keras-2.3.1-theano/conv2d_transpose_same_s3_k3_cl", ImportOptions.Backend.tensorflow, nil),
      ("keras-1.2.2-theano/convolution2d_same_cf", .tensorflow, nil), (pooling, .cntk, nil),
      ("keras-3.15.1/any_image_size", .theano, nil), ("tf.keras-1.15.5/ops_concat_stack", .cntk, nil),
      ("keras-1.2.2-theano/convolution2d_same_cf", nil, DataFormat.channelsLast),
    ] as [(String, ImportOptions.Backend?, DataFormat?)])
  func contradictionsAreUsageErrors(_ name: String, _ backend: ImportOptions.Backend?, _ dataFormat: DataFormat?) {
    let found = code { _ = try result(name, backend: backend, dataFormat: dataFormat) }
    #expect(found?.0 == .usage, "\(found?.1 ?? "no error")")
  }

  @Test func whatTheFileSaysMayBeSaidAgain() throws {
    #expect(try result("keras-2.3.1-theano/conv2d_transpose_same_s3_k3_cl", backend: .theano, dataFormat: .channelsLast).isExpected)
    #expect(try result("keras-1.2.2-theano/convolution2d_same_cf", backend: .theano, dataFormat: .channelsFirst).isExpected)
  }
}
