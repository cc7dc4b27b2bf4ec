import TensorModule
import Testing
import TestSupport

@Suite struct ByteStringTests {
  static let invalid = ByteString([0xFF, 0xD8, 0, 0x41, 0xC3])

  @Test func equalityIsThatOfBytes() {
    // é as one character and as e with an accent: Swift's String calls them equal.
    #expect(ByteString("\u{E9}") != ByteString("e\u{301}"))
    #expect(Set<ByteString>(["\u{E9}", "e\u{301}", "\u{E9}"]).count == 2)
    #expect(ByteString("a") < ByteString("b") && ByteString("a") < ByteString("aa") && ByteString("z") < ByteString("é"))
  }

  @Test func textIsLossless() {
    #expect(ByteString("é😀").text == "é😀")
    #expect(Self.invalid.text == nil)
    #expect(Self.invalid.quoted == "'\\xff\\xd8\\u{0}A\\xc3'")
  }

  @Test(arguments: [[0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80], [0xF8, 0x88]] as [[UInt8]])
  func findsNoCharacterInInvalidBytes(_ bytes: [UInt8]) {
    #expect(ByteString.scalar(in: bytes, at: 0) == nil)
    #expect(ByteString(bytes).text == nil)
  }

  @Test(arguments: ["A", "é", "€", "😀", "\u{10FFFF}", "\u{7FF}", "\u{800}", "\u{FFFF}"])
  func findsCharacters(_ text: String) throws {
    let (scalar, length) = try #require(ByteString.scalar(in: Array(text.utf8), at: 0))
    #expect(String(scalar) == text && length == text.utf8.count)
  }

  @Test func numpyFilesKeepBytes() throws {
    let folder = TemporaryFolder()
    let tensor = Tensor(strings: [Self.invalid, "", "text"], shape: [3])
    try NumPyFile.write(npy: tensor, to: folder.file("a.npy"))
    #expect(try NumPyFile.read(npy: folder.file("a.npy")) == tensor)
    let zero = Tensor(strings: [ByteString([0x41, 0])], shape: [1])
    #expect { try NumPyFile.bytes(zero) } throws: { "\($0)".contains("zero byte") }
  }

  @Test(arguments: [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")])
  func base64(_ text: String, _ plain: String) {
    #expect(Base64.encode(Array(plain.utf8)) == text)
    #expect(Base64.decode(text) == Array(plain.utf8))
  }

  @Test func base64RefusesOtherText() {
    for text in ["Z", "Zg=", "Zm9v!", "Zg===", "=", "Z g="] { #expect(Base64.decode(text) == nil) }
    #expect(Base64.decode("_-8") == [0xFF, 0xEF])
  }
}
