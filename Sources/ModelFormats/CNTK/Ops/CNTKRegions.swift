import GraphModule
import TensorModule

/// `ROIPooling`: the maximum of each cell of a grid over regions [x1, y1, x2, y2] of images, one region after the other.
struct CNTKRegions {
  private let call: CNTKCall
  private let rows: Int
  private let columns: Int
  private let scale: Double

  init(_ call: CNTKCall) throws {
    self.call = call
    let shape = try call.shape("roiOutputShape")
    guard shape.count == 2, shape.allSatisfy({ (1...256).contains($0) }) else { throw call.wrong("a grid of \(shape)") }
    guard try call.int("poolingType", 0) == 0 else { throw call.unsupported("averages over regions") }
    (columns, rows) = (shape[0], shape[1])
    scale = try call.float("spatialScale", 1)
  }

  func build() throws -> CNTKValue {
    let (image, regions) = (try call.value(0), try call.value(1))
    guard image.axes.hasBatch, image.axes.sequence == nil, image.shape.count == 3, regions.axes.hasBatch, regions.axes.sequence == nil, regions.shape.count == 2,
      regions.shape[1] == 4
    else { throw call.wrong("takes images and [regions, 4], found \(image.value.type.message) and \(regions.value.type.message)") }
    let (height, width) = (try call.length(try call.x(0), 2), try call.length(try call.x(0), 3))
    let builder = ImportBuilder(name: "region", parent: call.builder)
    let inner = CNTKOutputCall(builder, "region")
    let number = try builder.id(try builder.addInput("number", TensorType(.int64, [])))
    let region = try builder.id(try builder.addInput("corners", TensorType(regions.value.type.dtype, [regions.value.type.dims[0], 4])))
    let x = try builder.id(.value(try call.x(0), call.builder, name: image.value.name))
    let cells = try maximum(inner, x, region, height, width)
    builder.graph.outputs = [Graph.Output(name: "cells", value: cells)]
    try builder.bindSymbols()
    let captures = builder.captures
    let ids = try captures.map { try builder.id($0) }
    var body = builder.graph
    body.setInputs([number, region] + ids)
    let sliced = try call.transpose(try call.x(1), [1, 0, 2])
    let results = try call.addAll(Loop(carried: 0, sliced: 1, body: body.compacted()), [sliced] + captures.map { try call.builder.id($0) }, "loop")
    // [regions, batch, channels, rows, columns]
    return call.result(try call.transpose(results[0], [1, 0, 2, 3, 4]), .batch)
  }

  /// The cells of one region [batch, channels, rows, columns].
  private func maximum(_ call: CNTKOutputCall, _ x: ValueID, _ region: ValueID, _ height: Int, _ width: Int) throws -> ValueID {
    let dtype = call.type(region).dtype
    // The grid in the corners' numbers; halves are rounded away from 0.
    let scaled = try call.unary(.affine, region, [scale, 0])
    let magnitude = try call.unary(.floor, try call.unary(.affine, try call.unary(.abs, scaled), [1, 0.5]))
    let corners = try call.binary(.mul, magnitude, try call.unary(.sign, scaled))
    func corner(_ index: Int) throws -> ValueID { try call.slice(corners, axis: 1, index, index + 1) }
    let batch = call.type(x).dims[0]
    /// Which places along an axis belong to each cell: [batch, cells, length].
    func members(_ first: ValueID, _ last: ValueID, _ cells: Int, _ length: Int) throws -> ValueID {
      let extent = try call.binary(.max, try call.unary(.affine, try call.binary(.sub, last, first), [1, 1]), try call.scalar(1, dtype))
      let size = try call.unary(.affine, extent, [1 / Double(cells), 0])
      let low = try call.numbers((0..<cells).map(Double.init), [1, cells], dtype, "low"), high = try call.numbers((1...cells).map(Double.init), [1, cells], dtype, "high")
      let begin = try call.binary(.add, try call.unary(.floor, try call.binary(.mul, size, low)), first)
      let end = try call.binary(.add, try call.unary(.ceil, try call.binary(.mul, size, high)), first)
      let places = try call.numbers((0..<length).map(Double.init), [1, 1, length], dtype, "places")
      let isIn = try call.binary(.and, try call.binary(.greaterEqual, places, try call.expand(begin, 2)), try call.binary(.less, places, try call.expand(end, 2)))
      return isIn
    }
    let inRows = try members(try corner(1), try corner(3), rows, height), inColumns = try members(try corner(0), try corner(2), columns, width)
    let lowest = try call.scalar(-.infinity, dtype)
    let channels = call.type(x).dims[1]
    let tall = try call.select(
      try call.reshape(inRows, [batch, 1, Dim(rows), Dim(height), 1]), try call.reshape(x, [batch, channels, 1, Dim(height), Dim(width)]), lowest)
    let strips = try call.reduce(.max, tall, [3])
    let wide = try call.select(try call.reshape(inColumns, [batch, 1, 1, Dim(columns), Dim(width)]), try call.expand(strips, 3), lowest)
    let cells = try call.reduce(.max, wide, [4])
    // A cell without any place is 0.
    return try call.select(try call.binary(.equal, cells, lowest), try call.scalar(0, dtype), cells)
  }
}
