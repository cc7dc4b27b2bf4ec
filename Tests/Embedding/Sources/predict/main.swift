import Kiln

let model = try Model(contentsOf: CommandLine.arguments[1])
let input = model.inputs[0]
print(input.name, input.typeText)  // pixels float32[?,8,8,1]

let blank = try Tensor([Float](repeating: 0, count: 64), shape: [1, 8, 8, 1])
let scores = try model.predict(blank)
print(scores.floats)
