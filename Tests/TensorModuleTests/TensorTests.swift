import TensorModule
import TestSupport
import Testing

@Suite struct TensorTests {
  @Test(arguments: [
    (0.0, UInt16(0)), (-0.0, 0x8000), (1, 0x3C00), (-2, 0xC000), (65504, 0x7BFF), (65519.99, 0x7BFF), (65520, 0x7C00),
    (0x1p-24, 1), (0x1p-25, 0), (0x1.8p-24, 2), (0x1p-14, 0x0400), (0x1.ff8p-15, 0x03FF), (0x1.ffcp-15, 0x0400), (.infinity, 0x7C00), (1 + 0x1p-11, 0x3C00), (1 + 0x1.8p-10, 0x3C02),
  ])
  func roundsToHalfPrecision(_ value: Double, _ bits: UInt16) {
    #expect(HalfPrecision.float16Bits(value) == bits)
  }

  @Test func everyHalfPrecisionValueComesBack() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.double(float16Bits: bits)
      if !value.isNaN { #expect(HalfPrecision.float16Bits(value) == bits) }
      let other = HalfPrecision.float(bfloat16Bits: bits)
      if !other.isNaN { #expect(HalfPrecision.bfloat16Bits(other) == bits) }
    }
    #expect(HalfPrecision.bfloat16Bits(1.00390625) == 0x3F80 && HalfPrecision.bfloat16Bits(1.01171875) == 0x3F82)
  }

  @Test func convertsBetweenDTypes() throws {
    let values = try Tensor([-1.7, 300, .nan, 2.5] as [Double], shape: [4])
    #expect(try values.converted(to: .int8).integers == [-1, 127, 0, 2])
    #expect(try values.converted(to: .uint8).integers == [0, 255, 0, 2])
    #expect(try values.converted(to: .bool).integers == [1, 1, 1, 1])
    #expect(try Tensor([Int64.max, -1], shape: [2]).converted(to: .int64).integers == [Int64.max, -1])
    #expect(throws: KilnError.self) { try Tensor([1, 2] as [Float], shape: [3]) }
    #expect(throws: KilnError.self) { try Tensor(dtype: .float32, shape: [1 << 40, 1 << 40]) { _ in } }
  }

  @Test func tensorsAreAligned() throws {
    for count in [0, 1, 5, 1000] {
      let tensor = try Tensor([Float](repeating: 1, count: count), shape: [count])
      #expect(Int(bitPattern: tensor.address) % 64 == 0)
    }
  }

  @Test func scratchFilesHoldTensors() throws {
    let folder = TemporaryFolder()
    var scratch: ScratchFile? = try ScratchFile(prefix: folder.file("scratch-"))
    #expect(folder.names.isEmpty)
    let tensors = try (1...4).map { n in try Tensor((0..<n * 30_001).map { Float($0 * n) }, shape: [n, 30_001]) }
    let kept = try tensors.map { try #require(try scratch?.keep($0)) }
    scratch = nil
    for (tensor, copy) in zip(tensors, kept) {
      #expect(copy.isMapped && !tensor.isMapped && copy.reshaped([copy.count]).isMapped)
      #expect(copy == tensor)
      copy.releaseMapping()
      #expect(copy == tensor)
    }
    #expect(throws: KilnError.self) { try ScratchFile(prefix: folder.file("missing/scratch-")) }
  }

  @Test func differencesAreCounted() throws {
    let expected = try Tensor([1, 100, .nan, .infinity, 0] as [Float], shape: [5])
    let good = try Tensor([1.00005, 100.005, .nan, .infinity, 5e-6] as [Float], shape: [5])
    #expect(try TensorDifference.between(good, expected).outside == 0)
    let bad = try Tensor([1.001, 100.005, 0, -.infinity, 2e-5] as [Float], shape: [5])
    let difference = try TensorDifference.between(bad, expected)
    #expect(difference.outside == 4 && difference.firstOutside == 0)
    #expect(throws: KilnError.self) { try TensorDifference.between(good, Tensor([1] as [Float], shape: [1])) }
  }

  @Test func hashesAsXXH64Does() {
    func hash(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { XXH64.hash($0) } }
    #expect(hash("") == 0xEF46_DB37_51D8_E999)
    #expect(hash("a") == 0xD24E_C4F1_A98C_6E5B)
    #expect(hash("abc") == 0x44BC_2CF5_AD77_0999)
    #expect(hash("The quick brown fox jumps over the lazy dog") == 0x0B24_2D36_1FDA_71BC)
  }

  @Test func hashesInPieces() {
    let bytes = (0..<200).map { UInt8($0 * 37 & 0xFF) }
    let whole = bytes.withUnsafeBytes { XXH64.hash($0) }
    for first in 0...bytes.count {
      for second in [first, min(first + 5, bytes.count), (first + bytes.count) / 2] {
        var hash = XXH64()
        for part in [bytes[..<first], bytes[first..<second], bytes[second...]] { Array(part).withUnsafeBytes { hash.add($0) } }
        #expect(hash.value == whole)
      }
    }
  }

  @Test func errorsAreOneSafeLine() {
    let error = KilnError(.badInput, "found \u{1B}[31m\nred", at: ["m.h5", "a\u{202E}b"], hint: "try again")
    #expect(error.line == "m.h5: a\\u{202e}b: found \\u{1b}[31m\\nred (try again)")
    #expect(KilnError(.failed, String(repeating: "x", count: 5000)).line.count <= 1001)
  }
}
