// Reads the NIfTI files that the workbench sends, uncompressed and in RAS order, and writes label maps like them.
const HEADER = 352;
const TYPES = { 2: Uint8Array, 4: Int16Array, 8: Int32Array, 512: Uint16Array };
const INT32 = 8;

export function readVoxels(buffer) {
  const view = new DataView(buffer);
  const shape = [42, 44, 46].map((place) => view.getInt16(place, true));
  const voxels = new TYPES[view.getInt16(70, true)](buffer, view.getFloat32(108, true), shape[0] * shape[1] * shape[2]);
  const spacing = [80, 84, 88].map((place) => view.getFloat32(place, true));
  return { shape, voxels, mm3: spacing[0] * spacing[1] * spacing[2] };
}

// A compressed label map on the voxels of `buffer`, a NIfTI file.
export async function labelFile(buffer, values) {
  const file = new Uint8Array(HEADER + 4 * values.length);
  file.set(new Uint8Array(buffer, 0, HEADER));
  const view = new DataView(file.buffer);
  view.setInt16(70, INT32, true);
  view.setInt16(72, 32, true);
  new Int32Array(file.buffer, HEADER).set(values);
  const packed = new Blob([file]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).blob();
}
