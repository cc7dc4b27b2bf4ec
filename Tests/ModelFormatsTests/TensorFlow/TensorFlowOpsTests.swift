import Foundation
import ModelFormats
import Testing

@Suite struct TensorFlowOpsTests {
  /// The page of supported ops says what the table says.
  @Test func documentation() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Docs/tensorflow-ops.md")
    if ProcessInfo.processInfo.environment["KILN_WRITE_DOCS"] != nil {
      try TensorFlowOps.documentation.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == TensorFlowOps.documentation)
  }
}
