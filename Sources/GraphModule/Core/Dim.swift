import TensorModule

/// The length of an axis: a number, or an expression over symbols (`batch`, `2*time+1`, `batch*floor((time+1)/2)`).
///
/// A dim is a sum of terms; a term is a coefficient times a product of atoms; an atom is a symbol or a floor quotient.
/// The form is canonical (terms and atoms sorted, like terms joined), so dims that print alike are equal. Arithmetic
/// saturates at ±2^50, so sizes from a file cannot overflow; such a type is refused when it is checked. An expression
/// of more than `maximumWeight` symbols becomes 2^50 too, so that no file can make one that takes for ever to handle.
package struct Dim: Hashable, Sendable {
  package indirect enum Atom: Hashable, Sendable {
    case symbol(String)
    /// floor(dim / divisor), divisor ≥ 2.
    case quotient(Dim, by: Int)
  }

  package struct Term: Hashable, Sendable {
    package var coefficient: Int
    package var atoms: [Atom]
  }

  package private(set) var constant: Int
  package private(set) var terms: [Term]

  package static let limit = 1 << 50
  package static let maximumWeight = 512

  package init(_ value: Int) {
    constant = Dim.clamp(value)
    terms = []
  }

  package static func symbol(_ name: String) -> Dim {
    Dim(constant: 0, terms: [Term(coefficient: 1, atoms: [.symbol(name)])])
  }

  private init(constant: Int, terms: [Term]) {
    self.constant = constant
    self.terms = terms
  }

  /// The number, when no symbol is left.
  package var fixed: Int? { terms.isEmpty ? constant : nil }

  package static func + (left: Dim, right: Dim) -> Dim {
    if left.terms.isEmpty && right.terms.isEmpty { return Dim(left.constant + right.constant) }
    return Dim(constant: clamp(left.constant + right.constant), terms: joined(left.terms + right.terms)).limited
  }

  package static func - (left: Dim, right: Dim) -> Dim { left + right * Dim(-1) }

  package static func * (left: Dim, right: Dim) -> Dim {
    var terms: [Term] = []
    if left.terms.count * right.terms.count > maximumWeight { return Dim(limit) }
    for a in left.allTerms {
      for b in right.allTerms {
        let atoms = (a.atoms + b.atoms).sorted { $0.text < $1.text }
        terms.append(Term(coefficient: multiply(a.coefficient, b.coefficient), atoms: atoms))
      }
    }
    let constant = terms.filter(\.atoms.isEmpty).reduce(0) { clamp($0 + $1.coefficient) }
    return Dim(constant: constant, terms: joined(terms.filter { !$0.atoms.isEmpty })).limited
  }

  /// floor(self / divisor) for a positive divisor.
  package func floorDivided(by divisor: Int) -> Dim {
    if divisor <= 1 { return self }
    if let fixed { return Dim(Dim.floorDivide(fixed, divisor)) }
    // Multiples of the divisor come out, so that equal lengths look alike however they were found.
    let out = terms.filter { $0.coefficient % divisor == 0 }
    let whole = Dim(
      constant: Dim.floorDivide(constant, divisor),
      terms: out.map { Term(coefficient: $0.coefficient / divisor, atoms: $0.atoms) })
    if out.count == terms.count { return whole }
    var rest = Dim(constant: constant - whole.constant * divisor, terms: terms.filter { $0.coefficient % divisor != 0 })
    var divisor = divisor
    // floor((floor(x / a) + c) / b) = floor((x + c · a) / (a · b))
    while rest.terms.count == 1, rest.terms[0].coefficient == 1, rest.terms[0].atoms.count == 1,
      case .quotient(let inner, let by) = rest.terms[0].atoms[0], Dim.multiply(by, divisor) < Dim.limit
    {
      rest = inner + Dim(Dim.multiply(rest.constant, by))
      divisor *= by
    }
    return whole + Dim(constant: 0, terms: [Term(coefficient: 1, atoms: [.quotient(rest, by: divisor)])])
  }

  /// ceil(self / divisor) for a positive divisor.
  package func ceilDivided(by divisor: Int) -> Dim {
    divisor <= 1 ? self : (self + Dim(divisor - 1)).floorDivided(by: divisor)
  }

  /// self / divisor where the division is known to be exact (an inferred reshape dim), or nil when it is not.
  package func exactlyDivided(by divisor: Dim) -> Dim? {
    if let number = divisor.fixed {
      if number == 0 { return nil }
      if let fixed { return fixed % number == 0 ? Dim(fixed / number) : nil }
      return (number < 0 ? self * -1 : self).floorDivided(by: Swift.abs(number))
    }
    guard divisor.constant == 0, divisor.terms.count == 1, constant == 0 else { return nil }
    let by = divisor.terms[0]
    var result: [Term] = []
    for term in terms {
      var atoms = term.atoms
      for atom in by.atoms {
        guard let index = atoms.firstIndex(of: atom) else { return nil }
        atoms.remove(at: index)
      }
      guard term.coefficient % by.coefficient == 0 else { return nil }
      result.append(Term(coefficient: term.coefficient / by.coefficient, atoms: atoms))
    }
    let constant = result.filter(\.atoms.isEmpty).reduce(0) { Dim.clamp($0 + $1.coefficient) }
    return Dim(constant: constant, terms: Dim.joined(result.filter { !$0.atoms.isEmpty }))
  }

  /// The dim with symbols replaced by what `bindings` says.
  package func substituting(_ bindings: [String: Int]) -> Dim {
    if terms.isEmpty { return self }
    var sum = Dim(constant)
    for term in terms {
      var product = Dim(term.coefficient)
      for atom in term.atoms {
        switch atom {
        case .symbol(let name): product = product * (bindings[name].map { Dim($0) } ?? .symbol(name))
        case .quotient(let dim, let divisor): product = product * dim.substituting(bindings).floorDivided(by: divisor)
        }
      }
      sum = sum + product
    }
    return sum
  }

  /// Every symbol in the expression.
  package var symbols: Set<String> {
    var found: Set<String> = []
    for atom in terms.flatMap(\.atoms) {
      switch atom {
      case .symbol(let name): found.insert(name)
      case .quotient(let dim, _): found.formUnion(dim.symbols)
      }
    }
    return found
  }

  /// The number of symbols and quotients in the expression, however deep.
  private var weight: Int {
    terms.reduce(0) { sum, term in
      term.atoms.reduce(sum) { if case .quotient(let dim, _) = $1 { $0 + 1 + dim.weight } else { $0 + 1 } }
    }
  }

  private var limited: Dim { weight > Dim.maximumWeight ? Dim(Dim.limit) : self }

  private var allTerms: [Term] {
    constant == 0 ? terms : terms + [Term(coefficient: constant, atoms: [])]
  }

  private static func joined(_ terms: [Term]) -> [Term] {
    var sums: [[Atom]: Int] = [:]
    for term in terms { sums[term.atoms] = clamp(sums[term.atoms, default: 0] + term.coefficient) }
    return sums.filter { $0.value != 0 }
      .map { Term(coefficient: $0.value, atoms: $0.key) }
      .sorted { $0.sortKey < $1.sortKey }
  }

  package static func clamp(_ value: Int) -> Int { Swift.min(Swift.max(value, -limit), limit) }

  private static func multiply(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? ((a < 0) == (b < 0) ? limit : -limit) : clamp(product)
  }

  private static func floorDivide(_ value: Int, _ divisor: Int) -> Int {
    let quotient = value / divisor
    return value % divisor != 0 && (value < 0) ? quotient - 1 : quotient
  }
}

extension Dim: ExpressibleByIntegerLiteral {
  package init(integerLiteral value: Int) { self.init(value) }
}

extension Dim: CustomStringConvertible {
  package var description: String {
    if terms.isEmpty { return String(constant) }
    var out = ""
    for term in terms {
      let product = term.atoms.map(\.text).joined(separator: "*")
      if term.coefficient < 0 { out += "-" } else if !out.isEmpty { out += "+" }
      out += term.coefficient.magnitude == 1 ? product : "\(term.coefficient.magnitude)*\(product)"
    }
    if constant != 0 { out += constant > 0 ? "+\(constant)" : "\(constant)" }
    return out
  }
}

extension Dim.Term {
  fileprivate var sortKey: String { atoms.map(\.text).joined(separator: "*") }
}

extension Dim.Atom {
  package var text: String {
    switch self {
    case .symbol(let name): TextForm.name(name)
    case .quotient(let dim, let divisor): "floor((\(dim))/\(divisor))"
    }
  }
}
