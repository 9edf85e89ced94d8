<?php
// Settings come from the environment of the container; NAME_FILE is read if set.
function wp_env($name, $default = '') {
    $file = getenv($name . '_FILE');
    if ($file !== false && $file !== '') { return rtrim(file_get_contents($file), "\r\n"); }
    $v = getenv($name);
    return $v === false ? $default : $v;
}
define('DB_NAME', wp_env('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', wp_env('WORDPRESS_DB_USER', 'root'));
define('DB_PASSWORD', wp_env('WORDPRESS_DB_PASSWORD'));
define('DB_HOST', wp_env('WORDPRESS_DB_HOST', 'mysql'));
define('DB_CHARSET', wp_env('WORDPRESS_DB_CHARSET', 'utf8mb4'));
define('DB_COLLATE', wp_env('WORDPRESS_DB_COLLATE'));
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $k) {
    define($k, wp_env('WORDPRESS_' . $k, hash('sha256', '@SECRET@' . $k)));
}
$table_prefix = wp_env('WORDPRESS_TABLE_PREFIX', 'wp_');
define('WP_DEBUG', (bool) wp_env('WORDPRESS_DEBUG'));
if (isset($_SERVER['HTTP_X_FORWARDED_PROTO']) && strpos($_SERVER['HTTP_X_FORWARDED_PROTO'], 'https') !== false) { $_SERVER['HTTPS'] = 'on'; }
// no calls to wordpress.org unless WORDPRESS_BLOCK_EXTERNAL=0: they stall where names do not resolve
if (wp_env('WORDPRESS_BLOCK_EXTERNAL', '1')) { define('WP_HTTP_BLOCK_EXTERNAL', true); }
if ($extra = wp_env('WORDPRESS_CONFIG_EXTRA')) { eval($extra); }
if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }
require_once ABSPATH . 'wp-settings.php';
