// KilnImport
