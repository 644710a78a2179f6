// The smallest picture: a PNG of one pixel.
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p+FUpQAAAABJRU5ErkJggg==';

export const png = () => new Blob([Buffer.from(PNG, 'base64')], { type: 'image/png' });

/** As `png`, followed by zeros up to that size. */
export const pngOfSize = (bytes) => {
    const whole = Buffer.alloc(bytes);
    Buffer.from(PNG, 'base64').copy(whole);
    return new Blob([whole], { type: 'image/png' });
};
