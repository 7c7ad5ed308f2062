/** Without "./", doubled and trailing slashes; '' for the root. */
export function tidyPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
