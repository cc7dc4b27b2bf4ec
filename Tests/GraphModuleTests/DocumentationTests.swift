import GraphModule
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `Docs/ops.md` is what the catalogue says. `KILN_WRITE_DOCS=1` writes it instead of comparing.
@Suite struct DocumentationTests {
  static let path: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return parts.dropLast(3).joined(separator: "/") + "/Docs/ops.md"
  }()

  @Test func pageIsUpToDate() throws {
    let wanted = OpCatalog.documentation()
    if getenv("KILN_WRITE_DOCS") != nil {
      let file = try #require(fopen(Self.path, "w"))
      fputs(wanted, file)
      fclose(file)
    }
    let file = try #require(fopen(Self.path, "r"), "Docs/ops.md is missing: run with KILN_WRITE_DOCS=1")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    #expect(
      String(decoding: bytes, as: UTF8.self) == wanted, "Docs/ops.md is not up to date: run with KILN_WRITE_DOCS=1")
  }

  @Test func everyOpAndFunctionHasARow() {
    let page = OpCatalog.documentation()
    for op in OpCatalog.all { #expect(page.contains("\n| `\(op.name)` | ")) }
    for function in ScalarFunction.allCases {
      #expect(page.contains("\n| `\(function.rawValue)` | \(function.arity) | "))
    }
    let rows = page.split(separator: "\n").filter { $0.hasPrefix("|") }
    for row in rows { #expect([4, 5].contains(row.replacing("\\|").filter { $0 == "|" }.count), "\(row)") }
  }
}

extension Substring {
  /// The text without `part`.
  fileprivate func replacing(_ part: String) -> String {
    var rest = String(self)
    while let range = rest.firstRange(of: part) { rest = rest.replacingCharacters(in: range, with: "") }
    return rest
  }
}
