import TensorModule
import TestSupport
import Testing
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Data that were damaged at random load, or end in one error; nothing traps, nothing takes memory that the file does not justify.
@Suite struct HostileDataTests {
  private static let count = (getenv("KILN_MUTATIONS").flatMap { Int(String(cString: $0)) } ?? 300) / 3

  private func damage(_ bytes: [UInt8], _ random: inout TestRandom) -> [UInt8] {
    var copy = bytes
    switch Int.random(in: 0..<4, using: &random) {
    case 0: copy = Array(copy.prefix(Int.random(in: 0..<copy.count, using: &random)))
    case 1:
      let place = Int.random(in: 0..<copy.count, using: &random)
      copy.insert(contentsOf: (0..<Int.random(in: 1...9, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }, at: place)
    default:
      for _ in 0..<Int.random(in: 1...8, using: &random) { copy[Int.random(in: 0..<copy.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
    }
    return copy
  }

  private func read(_ path: String, _ form: DataForm) throws {
    var settings = DataSource.Settings()
    settings.threads = 0
    _ = try DataSupport.batches(try DataSource(try SampleStore.load(path, for: form), settings: settings))
  }

  @Test func damagedFiles() throws {
    var random = TestRandom(named: "hostile data")
    let folder = TemporaryFolder()
    let numbers = DataSupport.form([4], [nil], .indices)
    let pictures = DataSupport.form([nil, nil, 3], [3], .oneHot)
    let npz = try DataSupport.npz(
      folder, [("x", try Tensor((0..<12).map { Float($0) }, shape: [3, 4])), ("y", try Tensor([0, 1, 2] as [Int64], shape: [3]))], "whole.npz")
    let kinds: [(String, [UInt8], DataForm)] = [
      ("d.npz", try MappedFile.contents(of: npz), numbers), ("d.csv", Array("a,b,c,d,y\n1,2,3,4,0\n5,6,\"7\",8,1\n".utf8), numbers),
      ("d.tfrecord", try MappedFile.contents(of: DataSupport.fixture("floats.tfrecord")), numbers),
      ("p.tfrecord", try MappedFile.contents(of: DataSupport.fixture("pictures.tfrecord")), pictures),
    ]
    for (name, whole, form) in kinds {
      for _ in 0..<Self.count {
        let path = try folder.write(name, damage(whole, &random))
        do { try read(path, form) } catch let error as KilnError {
          #expect([.badInput, .unsupportedModel, .usage].contains(error.code), "\(error.line)")
          #expect(!error.line.contains("\n"))
        }
      }
    }
  }

  /// Records whose checksums are right and whose messages are damaged.
  @Test func damagedExamples() throws {
    var random = TestRandom(named: "hostile examples")
    let folder = TemporaryFolder()
    let bytes = try MappedFile.contents(of: DataSupport.fixture("floats.tfrecord"))
    let form = DataSupport.form([4], [3], .indices)
    func record(_ message: [UInt8]) -> [UInt8] {
      var head: [UInt8] = []
      head.append64(UInt64(message.count))
      var out = head
      out.append32(head.withUnsafeBytes { CRC32C.masked($0) })
      out += message
      out.append32(message.withUnsafeBytes { CRC32C.masked($0) })
      return out
    }
    let message = Array(bytes[12..<61 - 4])
    #expect(record(message) == Array(bytes.prefix(61)), "the first record is as long as this test takes it to be")
    for _ in 0..<2 * Self.count {
      let path = try folder.write("d.tfrecord", record(damage(message, &random)) + record(message))
      do { try read(path, form) } catch let error as KilnError { #expect(error.code == .badInput, "\(error.line)") }
    }
  }
}
