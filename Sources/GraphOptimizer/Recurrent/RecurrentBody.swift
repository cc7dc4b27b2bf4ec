import GraphModule
import TensorModule

/// The body of a loop over slices, with the cells that are in it.
struct RecurrentBody {
  /// A cell, the carried values that are its state, and the mask of its steps.
  struct Found {
    var cell: RecurrentCell
    var h: Int
    var c: Int?
    var mask: RecurrentMask?
  }

  let reader: BodyReader
  let carried: [ValueID]
  let sliced: [ValueID]
  let outputs: [ValueID]

  init(_ loop: Loop) {
    let reader = BodyReader(loop.body)
    self.reader = reader
    carried = Array(loop.body.inputs[1...].prefix(loop.carried))
    sliced = Array(loop.body.inputs[(1 + loop.carried)...].prefix(loop.sliced))
    outputs = loop.body.outputs.map { reader.plain($0.value) }
  }

  /// A masked value taken apart: the new one where the step counts, the other where not.
  func masked(_ id: ValueID) -> (mask: RecurrentMask, new: ValueID, other: ValueID)? {
    guard let node = reader.node(id), (node.op as? Elementwise)?.function == .select,
      let mask = RecurrentMask(reader, node.inputs[0], slices: Set(sliced))
    else { return nil }
    let (yes, no) = (reader.plain(node.inputs[1]), reader.plain(node.inputs[2]))
    var plain = mask
    plain.isNegated = false
    return mask.isNegated ? (plain, no, yes) : (plain, yes, no)
  }

  /// What a carried value becomes where the step counts.
  func next(_ index: Int) -> (mask: RecurrentMask?, value: ValueID) {
    if let found = masked(outputs[index]), found.other == carried[index] { return (found.mask, found.new) }
    return (nil, outputs[index])
  }

  /// The cells whose input is a slice.
  func cells() -> [Found] {
    let states = carried.indices.filter { reader.graph.type(of: carried[$0]).rank == 2 && reader.graph.type(of: carried[$0]).dtype.isFloat }
    guard states.count <= 64 else { return [] }
    let slices = Set(sliced)
    var found: [Found] = []
    for h in states {
      let (mask, newH) = next(h)
      var isFound = false
      for c in states where c != h && !isFound {
        let (maskC, newC) = next(c)
        guard maskC == mask, let cell = RecurrentCell(reader, next: (newH, newC), state: (carried[h], carried[c]), inputs: slices), cell.cell == .lstm
        else { continue }
        found.append(Found(cell: cell, h: h, c: c, mask: mask))
        isFound = true
      }
      if !isFound, let cell = RecurrentCell(reader, next: (newH, nil), state: (carried[h], nil), inputs: slices) {
        found.append(Found(cell: cell, h: h, c: nil, mask: mask))
      }
    }
    return found
  }
}
