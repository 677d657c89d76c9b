import { ApiError, base, problem } from './client';

/** Sends bytes and says how far it is, from 0 to 1, which fetch cannot. */
export function upload<T>(
  path: string,
  body: Blob,
  type: string,
  progress: (share: number) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', base + path);
    request.setRequestHeader('Content-Type', type);
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onerror = () => reject(new ApiError('The connection broke while sending. Try again.', 0));
    request.onload = () => {
      if (request.status < 300) resolve(request.response as T);
      else reject(problem(request, request.response));
    };
    request.send(body);
  });
}
