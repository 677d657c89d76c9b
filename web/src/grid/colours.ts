/**
 * Colours as a canvas takes them: it knows neither variables nor light-dark(). An element of its own is asked for
 * each, because one whose colour changes may be on its way from the last to the next.
 */
export function resolve(where: Element, colours: string[]): string[] {
  return colours.map((colour) => {
    const probe = document.createElement('span');
    probe.style.transitionProperty = 'none';
    probe.style.color = colour;
    where.append(probe);
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
  });
}
