import TensorModule
import Testing

@Suite struct JSONTests {
  @Test func readsWhatPythonWrites() throws {
    let json = try JSON.parse(#" {"a": [1, 1.0, -2e3, NaN, -Infinity], "b\u00e9\n": null, "c": {"d": "\ud83d\ude00"}} "#)
    #expect(json["a"]?[0] == .int(1))
    #expect(json["a"]?[1] == .double(1))
    #expect(json["a"]?[2] == .double(-2000))
    #expect(json["a"]?[3]?.doubleValue?.isNaN == true)
    #expect(json["a"]?[4]?.doubleValue == -.infinity)
    #expect(json["bé\n"] == .null)
    #expect(json["c"]?["d"] == .string("😀"))
    #expect(json.objectValue?.keys == ["a", "bé\n", "c"])
  }

  @Test(arguments: [
    ("", "ends early"), ("{", "key"), ("[1,]", "value"), (#"{"a":1,"a":2}"#, "twice"), ("[1] x", "after"), ("01", "leading zero"),
    ("1.", "malformed"), ("\"a", "does not end"), ("\"\u{1}\"", "control"), ("tru", "value"), ("[1 2]", "expected"),
    (#""a\n"#, "does not end"), ("\"a\\nb\u{2}\"", "control"), (#""a\"#, "does not end"), (String(repeating: "[", count: 100_000), "deeper"), (#""\x""#, "escape"), ("--1", "value"), ("1e", "malformed"),
  ])
  func refusesMalformedText(_ text: String, _ message: String) {
    #expect { try JSON.parse(text) } throws: { ($0 as? KilnError)?.message.contains(message) == true }
  }

  @Test func refusesMoreThanItsLimits() {
    #expect(throws: KilnError.self) { try JSON.parse("[1,2,3]", limits: JSON.Limits(values: 3)) }
    #expect(throws: KilnError.self) { try JSON.parse("[1,2,3]", limits: JSON.Limits(bytes: 6)) }
    #expect(throws: Never.self) { try JSON.parse("[1,2,3]", limits: JSON.Limits(values: 4, bytes: 7)) }
  }

  @Test func printsWhatItReads() throws {
    let text = #"{"a":[1,2.5,"x\n\"\\\u0001é"],"b":{},"c":[],"d":[{"e":null}],"f":true}"#
    let json = try JSON.parse(text)
    #expect(json.text() == text)
    #expect(try JSON.parse(json.text(indented: true)) == json)
    #expect(JSON.array([.double(.nan)]).text() == "[null]")
  }
}
