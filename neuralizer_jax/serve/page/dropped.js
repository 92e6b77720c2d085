// The files of dropped folders, with their paths.
export async function dropped(items) {
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      file.path = entry.fullPath.slice(1);
      if (!file.name.startsWith(".")) files.push(file);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!entries.length) return;
      for (const inside of entries) await walk(inside);
    }
  };
  for (const entry of Array.from(items, (item) => item.webkitGetAsEntry()).filter(Boolean)) await walk(entry);
  return files;
}
