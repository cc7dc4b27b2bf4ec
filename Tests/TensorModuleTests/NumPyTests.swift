import TensorModule
import TestSupport
import Testing

@Suite struct NumPyTests {
  /// A `.npy` file as NumPy lays it out.
  private func npy(_ header: String, _ data: [UInt8], version: UInt8 = 1) -> [UInt8] {
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0]
    if version == 1 { bytes.append16(UInt16(header.utf8.count)) } else { bytes.append32(UInt32(header.utf8.count)) }
    return bytes + Array(header.utf8) + data
  }

  private func parse(_ bytes: [UInt8]) throws -> Tensor { try bytes.withUnsafeBytes { try NumPyFile.parse($0) } }

  @Test func readsBothByteOrdersAndBothAxisOrders() throws {
    let little = try parse(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }\n", [1, 0, 2, 0, 3, 0, 255, 255]))
    #expect(little.integers == [1, 2, 3, -1] && little.dtype == .int16 && little.shape == [2, 2])
    let big = try parse(npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2)}", [0, 1, 0, 2, 0, 3, 255, 255], version: 2))
    #expect(big.integers == [1, 3, 2, -1])
    let unsigned = try parse(npy("{'descr': '<u4', 'fortran_order': False, 'shape': ()}", [255, 255, 255, 255]))
    #expect(unsigned.integers == [4_294_967_295] && unsigned.dtype == .int64 && unsigned.shape == [])
  }

  @Test func readsText() throws {
    let bytes = try parse(npy("{'descr': '|S3', 'fortran_order': False, 'shape': (2,)}", Array("abcd\0\0".utf8)))
    #expect(bytes.strings == ["abc", "d"])
    let wide = try parse(npy("{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}", [0xE9, 0, 0, 0, 0, 0xF6, 1, 0]))
    #expect(wide.strings == ["é😀"])
  }

  @Test(arguments: [
    ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "pickled"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536)}", "bytes of data"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2)}", "impossible"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "shape"),
    ("{'descr': '<f4', 'fortran_order': False}", "incomplete"),
    ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "unexpected"),
    ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structured"),
    ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "not supported"),
    ("{'descr': '|S0', 'fortran_order': False, 'shape': (1099511627776,)}", "without a byte"),
    ("__import__('os')", "malformed"),
  ])
  func refusesBadHeaders(_ header: String, _ message: String) {
    #expect { try parse(npy(header, [0, 0, 0, 0])) } throws: { "\($0)".contains(message) }
  }

  @Test(arguments: DType.allCases)
  func writesWhatItReads(_ dtype: DType) throws {
    let folder = TemporaryFolder()
    let tensor =
      dtype == .string
      ? Tensor(strings: ["a", "", "éx"], shape: [3, 1])
      : try Tensor(converting: [0, 1, 2.5, 0.25, 1, 7], to: dtype, shape: [2, 3])
    try NumPyFile.write(npy: tensor, to: folder.file("a.npy"))
    let back = try NumPyFile.read(npy: folder.file("a.npy"))
    #expect(dtype == .bfloat16 ? back.doubles == tensor.doubles : back == tensor)
    let empty = try Tensor([Float](), shape: [0, 4])
    try NumPyFile.write(npz: [("x/1", tensor), ("y", empty)], to: folder.file("a.npz"))
    let all = try NumPyFile.read(npz: folder.file("a.npz"))
    #expect(all.map(\.name) == ["x/1", "y"])
    #expect(all[0].tensor == back && all[1].tensor == empty)
  }

  @Test func neverTrapsOnDamagedFiles() throws {
    let folder = TemporaryFolder()
    try NumPyFile.write(npz: [("a", Tensor([1, 2, 3] as [Float], shape: [3])), ("b", Tensor([1] as [Int64], shape: []))], to: folder.file("a.npz"))
    let good = try MappedFile.contents(of: folder.file("a.npz"))
    var random = TestRandom(named: "neverTrapsOnDamagedFiles")
    var refused = 0
    for _ in 0..<2000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        if Bool.random(using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) } else {
          bytes.removeLast(Int.random(in: 0..<min(40, bytes.count), using: &random))
        }
        if bytes.isEmpty { bytes = [0] }
      }
      let path = try folder.write("m.npz", bytes)
      do { _ = try NumPyFile.read(npz: path) } catch is KilnError { refused += 1 }
    }
    #expect(refused > 1000)
  }

  @Test func refusesWhatIsNoRegularFile() {
    #expect { try NumPyFile.read(npy: "/tmp") } throws: { "\($0)".contains("regular") }
    #expect { try NumPyFile.read(npy: "/tmp/no-such-file.npy") } throws: { "\($0)".contains("No such file") }
  }
}
