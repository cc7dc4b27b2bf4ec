import CKernels

/// The transforms of Winograd's F(m x m, 3x3): output = A' [(G g G') · (B' d B)] A for a tile d of (m + 2)² inputs and a kernel g.
///
/// They evaluate polynomials at m + 1 points and infinity. For a finite point x: the row of B' has the coefficients of the polynomial whose
/// roots are the other points; the row of G is (1, x, x²) over the product of x's distances to them; the column of A' is 1, x, x², …
package struct WinogradMatrices: Sendable {
  /// Rows and columns of a tile of results.
  package let outputs: Int
  package let input: [[Double]]
  package let kernel: [[Double]]
  package let output: [[Double]]

  /// - Parameter outputs: 2 or 4. The points are those of the processor's kernels.
  package init(outputs: Int) {
    let (a, b) = (Double(KILN_WINOGRAD_A), Double(KILN_WINOGRAD_B))
    let points: [Double] = outputs == 2 ? [0, 1, -1] : [0, a, -a, b, -b]
    func polynomial(_ roots: [Double]) -> [Double] {
      roots.reduce([1]) { product, root in
        (0...product.count).map { ($0 > 0 ? product[$0 - 1] : 0) - ($0 < product.count ? root * product[$0] : 0) }
      }
    }
    func others(_ point: Double) -> [Double] { points.filter { $0 != point } }
    self.outputs = outputs
    input = points.map { polynomial(others($0)) + [0] } + [polynomial(points)]
    kernel = points.map { x in
      let distance = others(x).reduce(1) { $0 * (x - $1) }
      return [1, x, x * x].map { $0 / distance }
    } + [[0, 0, 1]]
    output = (0..<outputs).map { power in
      points.map { x in (0..<power).reduce(1) { product, _ in product * x } } + [power == outputs - 1 ? 1 : 0]
    }
  }
}
