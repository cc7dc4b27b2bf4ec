import TensorModule

extension Loop {
  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let scalar = TensorType(.int64, [])
    let (n, m) = (Dim.symbol("n"), Dim.symbol("m"))
    guard let counting = try? example(count: n), let scan = try? scan(n, m), let swap = try? swap(n),
      let words = try? words()
    else { return [] }
    let capped = { (limit: Int) in
      var copy = counting
      copy.maxTrips = limit
      return copy
    }
    let unconditional = { (loop: Loop, limit: Int?) in
      var copy = loop
      copy.condition = nil
      copy.maxTrips = limit
      return copy
    }
    return [
      // x grows by a half of itself until the number reaches the limit.
      OpExample(counting, [f([3]), scalar], fixed: [1: [4]]),
      OpExample(counting, [f([1]), scalar], fixed: [1: [0]]),
      OpExample(counting, [f([0]), scalar], fixed: [1: [2]]),
      OpExample(capped(3), [f([5]), scalar], fixed: [1: [9]]),
      OpExample(unconditional(counting, 5), [f([5]), scalar], fixed: [1: [9]]),
      // A recurrence over slices with stacked rows and a captured matrix.
      OpExample(scan, [f([2, 3]), f([4, 2, 3]), f([3, 3])]),
      OpExample(scan, [f([1, 17]), f([1, 1, 17]), f([17, 17])]),
      OpExample(scan, [f([2, 3]), f([0, 2, 3]), f([3, 3])]),
      OpExample(Loop(carried: 2, maxTrips: 3, body: swap), [f([4]), f([4])]),
      OpExample(Loop(carried: 2, maxTrips: 0, body: swap), [f([2]), f([2])]),
      OpExample(Loop(carried: 1, sliced: 1, body: words), [TensorType(.string, []), TensorType(.string, [3])]),
    ]
  }

  private static func example(count n: Dim) throws -> Loop {
    var condition = Graph(name: "condition")
    let number = condition.declareInput("i", TensorType(.int64, []))
    _ = condition.declareInput("x", TensorType(.float32, [n]))
    let limit = condition.declareInput("limit", TensorType(.int64, []))
    let less = try condition.addOne(Elementwise(.less), [number, limit], name: "less")
    condition.outputs = [.init(name: "less", value: less)]
    var body = Graph(name: "body")
    _ = body.declareInput("i", TensorType(.int64, []))
    let x = body.declareInput("x", TensorType(.float32, [n]))
    _ = body.declareInput("limit", TensorType(.int64, []))
    let half = body.addConstant("half", try Tensor(converting: [1.5], to: .float32, shape: []))
    let next = try body.addOne(Elementwise(.mul), [x, half], name: "next")
    body.outputs = [.init(name: "x", value: next)]
    return Loop(carried: 1, condition: condition, body: body)
  }

  private static func scan(_ n: Dim, _ m: Dim) throws -> Loop {
    var body = Graph(name: "step")
    _ = body.declareInput("i", TensorType(.int64, []))
    let h = body.declareInput("h", TensorType(.float32, [n, m]))
    let x = body.declareInput("x", TensorType(.float32, [n, m]))
    let w = body.declareInput("w", TensorType(.float32, [m, m]))
    let product = try body.addOne(MatMul(), [h, w], name: "product")
    let sum = try body.addOne(Elementwise(.add), [product, x], name: "sum")
    let next = try body.addOne(Elementwise(.tanh), [sum], name: "next")
    let row = try body.addOne(Reduce(.sum, axes: [1]), [next], name: "row")
    body.outputs = [.init(name: "h", value: next), .init(name: "row", value: row), .init(name: "hs", value: next)]
    return Loop(carried: 1, sliced: 1, body: body)
  }

  private static func swap(_ n: Dim) throws -> Graph {
    var body = Graph(name: "swap")
    let number = body.declareInput("i", TensorType(.int64, []))
    let a = body.declareInput("a", TensorType(.float32, [n]))
    let b = body.declareInput("b", TensorType(.float32, [n]))
    body.outputs = [.init(name: "a", value: b), .init(name: "b", value: a), .init(name: "i", value: number)]
    return body
  }

  private static func words() throws -> Graph {
    var body = Graph(name: "words")
    _ = body.declareInput("i", TensorType(.int64, []))
    let last = body.declareInput("last", TensorType(.string, []))
    let word = body.declareInput("word", TensorType(.string, []))
    body.outputs = [.init(name: "last", value: word), .init(name: "before", value: last)]
    return body
  }
}
