import CKernels
import TensorModule

/// A loop whose body and condition are plans: they run in a part of the outer plan's arena and allocate nothing.
struct LoopStep: Sendable {
  /// How a carried value goes from one iteration to the next.
  enum Passing: Sendable {
    /// The body gives back what it got: the memory stays as it is.
    case same
    /// The body writes the new value over the old one.
    case inPlace
    /// The body reads one buffer and writes another; they change places. `copied`: the body spoils what it reads.
    case alternating(copied: Bool)
  }

  struct Carried: Sendable {
    var initial: kiln_operand
    var result: kiln_operand
    /// A second buffer of the same size, for alternating values.
    var spare: kiln_operand
    var byteCount: Int
    var passing: Passing
  }

  /// A tensor of which each iteration sees one row.
  struct Rows: Sendable {
    var place: kiln_operand
    var rowBytes: Int
    var count: Int
  }

  var name: String
  var body: Plan
  var condition: Plan?
  /// Index of the body's workspace in that of the outer plan; the condition's is the next.
  var nested = 0
  var bodyArena: Int64 = 0
  var conditionArena: Int64 = 0
  /// The most iterations by slices and `max_trips`.
  var bound: Int
  /// Where the number of the iteration, the condition's result and the count of iterations are kept.
  var number: kiln_operand
  var flag: kiln_operand
  var trips: kiln_operand
  var carried: [Carried]
  var slices: [Rows]
  var captures: [kiln_operand]
  var stacked: [Rows]

  func run(_ outer: Workspace, _ pool: ThreadPool) throws {
    let inner = outer.nested[nested]
    inner.clearFlags(body)
    guard let number = outer.address(number), let flag = outer.address(flag) else {
      throw KilnError(.internal, "a loop has no memory", at: [name])
    }
    begin(outer, inner, number)
    var count = 0
    if let condition {
      let test = outer.nested[nested + 1]
      test.clearFlags(condition)
      test.setInput(0, number)
      test.setOutput(0, flag)
      for index in captures.indices { test.setInput(1 + carried.count + index, outer.address(captures[index])) }
      while count < bound {
        number.storeBytes(of: Int64(count), as: Int64.self)
        for index in carried.indices { test.setInput(1 + index, inner.inputAddress(1 + index)) }
        try Executor.run(condition, test, pool)
        if flag.load(as: UInt8.self) == 0 { break }
        try iterate(count, outer, inner, pool)
        count += 1
      }
    } else {
      while count < bound {
        number.storeBytes(of: Int64(count), as: Int64.self)
        try iterate(count, outer, inner, pool)
        count += 1
      }
    }
    finish(count, outer, inner)
  }

  private func begin(_ outer: Workspace, _ inner: Workspace, _ number: UnsafeMutableRawPointer) {
    inner.setInput(0, number)
    for (index, value) in carried.enumerated() {
      let (initial, result) = (outer.address(value.initial), outer.address(value.result))
      switch value.passing {
      case .same:
        inner.setInput(1 + index, initial)
        inner.setOutput(index, initial)
      case .inPlace:
        Self.copy(value.byteCount, from: initial, to: result)
        inner.setInput(1 + index, result)
        inner.setOutput(index, result)
      case .alternating(let copied):
        if copied { Self.copy(value.byteCount, from: initial, to: outer.address(value.spare)) }
        inner.setInput(1 + index, copied ? outer.address(value.spare) : initial)
        inner.setOutput(index, result)
      }
    }
    let first = 1 + carried.count + slices.count
    for index in captures.indices { inner.setInput(first + index, outer.address(captures[index])) }
  }

  @inline(__always)
  private func iterate(_ count: Int, _ outer: Workspace, _ inner: Workspace, _ pool: ThreadPool) throws {
    try outer.countIteration()
    for index in slices.indices {
      inner.setInput(1 + carried.count + index, outer.address(slices[index].place).map { $0 + count * slices[index].rowBytes })
    }
    for index in stacked.indices {
      inner.setOutput(carried.count + index, outer.address(stacked[index].place).map { $0 + count * stacked[index].rowBytes })
    }
    try Executor.run(body, inner, pool)
    for index in carried.indices {
      guard case .alternating = carried[index].passing else { continue }
      let made = inner.outputAddress(index)
      inner.setInput(1 + index, made)
      let result = outer.address(carried[index].result)
      inner.setOutput(index, made == result ? outer.address(carried[index].spare) : result)
    }
  }

  private func finish(_ count: Int, _ outer: Workspace, _ inner: Workspace) {
    for (index, value) in carried.enumerated() {
      let result = outer.address(value.result)
      let last = inner.inputAddress(1 + index)
      if last != result { Self.copy(value.byteCount, from: last, to: result) }
    }
    for rows in stacked where rows.rowBytes > 0 && count < rows.count {
      guard let base = outer.address(rows.place) else { continue }
      (base + count * rows.rowBytes).initializeMemory(as: UInt8.self, repeating: 0, count: (rows.count - count) * rows.rowBytes)
    }
    outer.address(trips)?.storeBytes(of: Int64(count), as: Int64.self)
  }

  private static func copy(_ bytes: Int, from source: UnsafeMutableRawPointer?, to target: UnsafeMutableRawPointer?) {
    guard bytes > 0, let source, let target, source != target else { return }
    target.copyMemory(from: source, byteCount: bytes)
  }
}
