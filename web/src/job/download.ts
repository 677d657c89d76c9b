import { ApiError, fetchRaw } from '../api/client';

/** Fetches into a file of the visitor's. Says how much has come, in bytes. */
export async function download(
  path: string,
  media: string,
  name: string,
  progress: (bytes: number) => void,
): Promise<void> {
  const response = await fetchRaw(path, { headers: { Accept: media } });
  if (response.status === 204) throw new ApiError('There is nothing yet. Try again in a moment.', 204);
  let bytes = 0;
  const counted = response.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, out) {
        bytes += chunk.length;
        progress(bytes);
        out.enqueue(chunk);
      },
    }),
  );
  const blob = await new Response(counted, { headers: { 'Content-Type': media } }).blob();
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may still be reading it
}
