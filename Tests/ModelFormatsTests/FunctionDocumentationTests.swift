import ModelFormats
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `Docs/keras-functions.md` is what the catalogue says. `KILN_WRITE_DOCS=1` writes it instead of comparing.
@Suite struct FunctionDocumentationTests {
  @Test func pageIsUpToDate() throws {
    let path = "\(FixtureCase.root)/Docs/keras-functions.md"
    let wanted = FunctionPage.text
    if getenv("KILN_WRITE_DOCS") != nil {
      let file = try #require(fopen(path, "w"))
      fputs(wanted, file)
      fclose(file)
    }
    let file = try #require(fopen(path, "r"), "Docs/keras-functions.md is missing: run with KILN_WRITE_DOCS=1")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    #expect(String(decoding: bytes, as: UTF8.self) == wanted, "Docs/keras-functions.md is not up to date: run with KILN_WRITE_DOCS=1")
  }

  @Test func noFunctionHasTwoMeanings() {
    #expect(FunctionPage.repeated.isEmpty, "\(FunctionPage.repeated)")
  }

  /// Every function of keras.ops is read, or has a reason not to be.
  @Test func everyFunctionHasAFate() {
    #expect(FunctionPage.undecided.isEmpty, "\(FunctionPage.undecided)")
  }
}
