import GraphModule
import Testing

/// Dim is an algebra: equal expressions have one form, and binding symbols agrees with computing.
@Suite struct DimTests {
  static let bindings = ["a": 5, "b": 3, "time": 17, "odd name": 2, "floor": 4]

  /// A random expression and its value.
  static func expression(_ random: inout Random, depth: Int) -> (Dim, Int) {
    if depth == 0 || random.chance(25) {
      if random.chance(40) {
        let value = random.int(-6...6)
        return (Dim(value), value)
      }
      let name = random.pick(bindings.keys.sorted())
      return (.symbol(name), bindings[name] ?? 0)
    }
    let (a, x) = expression(&random, depth: depth - 1)
    switch random.int(0...4) {
    case 0, 1:
      let (b, y) = expression(&random, depth: depth - 1)
      return (a + b, x + y)
    case 2:
      let (b, y) = expression(&random, depth: depth - 1)
      return (a - b, x - y)
    case 3:
      let (b, y) = expression(&random, depth: depth - 1)
      return (a * b, x * y)
    default:
      let divisor = random.int(1...5)
      let quotient = Int((Double(x) / Double(divisor)).rounded(.down))
      return (a.floorDivided(by: divisor), quotient)
    }
  }

  @Test func bindingAgreesWithComputing() {
    var random = Random(Random.seed)
    for _ in 0..<3000 {
      let (dim, value) = Self.expression(&random, depth: 4)
      #expect(dim.substituting(Self.bindings) == Dim(value), "\(dim)")
      #expect(dim.symbols.isSubset(of: Self.bindings.keys))
      #expect((dim.fixed == nil) == !dim.symbols.isEmpty, "\(dim)")
    }
  }

  @Test func bindingInTwoStepsIsBindingAtOnce() {
    var random = Random(Random.seed &+ 1)
    for _ in 0..<1000 {
      let (dim, value) = Self.expression(&random, depth: 4)
      let half = Self.bindings.filter { $0.key < "c" }
      let rest = Self.bindings.filter { $0.key >= "c" }
      #expect(dim.substituting(half).substituting(rest) == Dim(value), "\(dim)")
    }
  }

  @Test func laws() {
    var random = Random(Random.seed &+ 2)
    for _ in 0..<1000 {
      let (a, b, c) = (
        Self.expression(&random, depth: 2).0, Self.expression(&random, depth: 2).0, Self.expression(&random, depth: 2).0
      )
      #expect(a + b == b + a)
      #expect((a + b) + c == a + (b + c))
      #expect(a * b == b * a)
      #expect((a * b) * c == a * (b * c))
      #expect(a * (b + c) == a * b + a * c)
      #expect(a - a == 0)
      #expect(a * 1 == a && a + 0 == a && a * 0 == 0)
      #expect((a * 6).floorDivided(by: 6) == a)
      #expect((a * 4).floorDivided(by: 2) == a * 2)
      #expect(a.ceilDivided(by: 3) == (a + 2).floorDivided(by: 3))
      if b != 0, let quotient = (a * b).exactlyDivided(by: b) { #expect(quotient == a) }
    }
  }

  @Test func exactDivision() {
    let (a, b): (Dim, Dim) = (.symbol("a"), .symbol("b"))
    #expect((a * b * 6).exactlyDivided(by: a * 2) == b * 3)
    #expect((a * 12).exactlyDivided(by: 4) == a * 3)
    #expect(a.exactlyDivided(by: b) == nil)
    #expect(Dim(7).exactlyDivided(by: 2) == nil)
    #expect(Dim(7).exactlyDivided(by: 0) == nil)
    #expect((a + b).exactlyDivided(by: 0) == nil)
  }

  @Test func printsAndParsesBack() throws {
    var random = Random(Random.seed &+ 3)
    for _ in 0..<1000 {
      let (dim, _) = Self.expression(&random, depth: 3)
      var graph = Graph(name: "g")
      _ = try graph.addInput("x", TensorType(.float32, [dim]))
      #expect(try TextForm.parse(TextForm.print(graph)) == graph, "\(dim)")
    }
  }

  @Test func knownForms() {
    let (batch, time): (Dim, Dim) = (.symbol("batch"), .symbol("time"))
    #expect((time * 2 + 1).description == "2*time+1")
    #expect((batch * (time + 1).floorDivided(by: 2)).description == "batch*floor((time+1)/2)")
    #expect((1 - batch).description == "-batch+1")
    // A window of 3 with a padding of 1, twice with a stride of 2: as TensorFlow's SAME has it.
    let half = (time - 1).floorDivided(by: 2) + 1
    #expect(half == time.ceilDivided(by: 2) && half.description == "floor((time+1)/2)")
    #expect(half.ceilDivided(by: 2) == time.ceilDivided(by: 4))
    #expect((time * 4 + batch + 7).floorDivided(by: 4).description == "floor((batch+3)/4)+time+1")
    #expect(Dim.symbol("odd name").description == "\"odd name\"")
  }

  @Test func sizesSaturate() {
    let huge = Dim(Int.max)
    #expect(huge == Dim(Dim.limit))
    #expect(huge * huge == huge && huge + huge == huge)
    #expect(huge * Dim(Int.min) == Dim(-Dim.limit))
    #expect((.symbol("a") * huge * huge).substituting(["a": 3]) == huge)
  }

  /// Expressions cannot grow without bound: each step doubles this one.
  @Test func expressionsStaySmall() {
    var dim = Dim.symbol("n")
    for _ in 0..<200 { dim = dim + dim.floorDivided(by: 2) + 1 }
    #expect(dim.description.utf8.count < 100_000)
    var sum: Dim = 0
    for index in 0..<100 { sum = sum + .symbol("s\(index)") }
    #expect((sum * sum * sum * sum).description.utf8.count < 100_000)
  }
}
