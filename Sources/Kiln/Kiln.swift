// Kiln
