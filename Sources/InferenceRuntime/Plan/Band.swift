/// A depthwise convolution with what makes its operand, what alone reads its result, or both: one step does them in turns by bands of
/// rows, and what lies between stays in a core's cache.
package struct Band<Element> {
  /// A product of pixels or a convolution.
  var front: Element?
  var depthwise: Element
  /// A product of pixels.
  var projection: Element?

  /// All but the last, in order.
  var leading: [Element] { [front].compactMap { $0 } + (projection == nil ? [] : [depthwise]) }

  func map<Other>(_ transform: (Element) -> Other) -> Band<Other> {
    Band<Other>(front: front.map(transform), depthwise: transform(depthwise), projection: projection.map(transform))
  }
}
