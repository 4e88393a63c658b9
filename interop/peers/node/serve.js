// Gives a browser the page, from an address that it trusts enough for its crypto.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = `<!doctype html><title>peer</title><script type="module">
import { start } from './page.js';
globalThis.start = start;
document.title = 'ready';
</script>`;

const parts = ['/page.js', '/w3c.js', '/media.js', '/media-page.js'];

// servePage returns the address.
export function servePage() {
  const server = createServer(({ url }, response) => {
    if (url === '/') {
      response.setHeader('content-type', 'text/html');
      response.end(page);
    } else if (parts.includes(url)) {
      response.setHeader('content-type', 'text/javascript');
      response.end(readFileSync(new URL(`.${url}`, import.meta.url)));
    } else {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}/`));
  });
}
