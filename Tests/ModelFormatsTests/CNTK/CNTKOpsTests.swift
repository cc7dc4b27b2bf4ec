import Foundation
import ModelFormats
import Testing

@Suite struct CNTKOpsTests {
  /// The page of operations says what the table says.
  @Test func documentation() throws {
    let file = URL(filePath: FixtureCase.root).appending(path: "Docs/cntk-ops.md")
    if ProcessInfo.processInfo.environment["KILN_WRITE_DOCS"] != nil { try CNTKOps.documentation.write(to: file, atomically: true, encoding: .utf8) }
    #expect(try String(contentsOf: file, encoding: .utf8) == CNTKOps.documentation)
  }

  /// Every operation that CNTK has is read, looked through or refused.
  @Test func everyOperationIsNamed() { #expect(CNTKOps.unnamed == []) }
}
